"""The lock file: written, read again, and refused with its line when it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.errors import SpecError
from flowrun.spec.lockfile import LockedEnv, LockedProject, LockFile, dump, find_env, parse

LOCK = "# env/1\n# python 3.11.7 cpython-311\nalpha==2.0 \\\n    --hash=sha256:ab\n"
EXAMPLE = LockFile(
    (LockedEnv("python_env.yaml", "virtualenv", ("alpha>=1", "python 3.11"), {"linux-64": LOCK}),),
    (LockedProject("https://host/team/features.git", "v1.2", "a" * 40, "b" * 40),),
)
TEXT = """\
# Written by `flowrun lock`: what a run takes exactly. Commit it, don't edit it.
version: 1
environments:
- name: python_env.yaml
  manager: virtualenv
  asks:
  - "alpha>=1"
  - "python 3.11"
  locks:
    linux-64: |
      # env/1
      # python 3.11.7 cpython-311
      alpha==2.0 \\
          --hash=sha256:ab
projects:
- uri: "https://host/team/features.git"
  version: v1.2
  commit: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  tree: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
"""

ODD = "ab1 #-:~'\"\\\t\r\n\x00\x1b\x7f\x85\ufeff\u2028é\U0001f600{}[]|>&*!%@`,"
texts = st.text(ODD, min_size=1, max_size=8)
blocks = st.one_of(st.text(ODD, max_size=8), st.text("ab #\n", max_size=12), st.just(LOCK))
environments = st.builds(
    LockedEnv,
    texts,
    texts,
    st.lists(texts).map(lambda asks: tuple(sorted(asks))),
    st.dictionaries(texts, blocks, max_size=2),
)
many = st.lists(environments, max_size=2, unique_by=lambda env: (env.name, env.manager)).map(
    lambda envs: tuple(sorted(envs, key=lambda env: (env.name, env.manager)))
)
commits = st.none() | st.text("0123456789abcdef", min_size=40, max_size=40)
projects = st.builds(LockedProject, texts, st.none() | texts, commits, st.just("c" * 40), many)
files = st.builds(
    LockFile,
    many,
    st.lists(projects, max_size=2, unique_by=lambda each: (each.uri, each.version or "")).map(
        lambda found: tuple(sorted(found, key=lambda each: (each.uri, each.version or "")))
    ),
)


def test_file_is_one_package_a_line_without_times_and_places() -> None:
    assert dump(EXAMPLE) == TEXT
    assert parse(TEXT) == EXAMPLE


@given(files)
def test_what_is_written_is_read_again(lock: LockFile) -> None:
    assert parse(dump(lock)) == lock


@given(st.permutations(("a", "b", "c")))
def test_order_in_which_things_were_found_does_not_show(names: list[str]) -> None:
    envs = tuple(LockedEnv(name, "virtualenv", tuple(names), {}) for name in names)
    others = tuple(LockedProject(name, tree="c" * 40) for name in names)
    in_order = LockFile(envs, others)
    assert dump(in_order) == dump(LockFile(envs[::-1], others[::-1]))


def test_environments_know_the_line_they_are_in() -> None:
    found = find_env(parse(TEXT).environments, "python_env.yaml", "virtualenv")
    assert found is not None
    assert str(found.mark) == "MLproject.lock:4:3"
    assert find_env(parse(TEXT).environments, "python_env.yaml", "conda") is None


WRONG = {
    "nothing": ("", "MLproject.lock:1:1: this is no lock file: it holds no map"),
    "a newer file": (
        "version: 2\n",
        "MLproject.lock:1:1: a lock file of this flowrun begins with `version: 1`; a newer one "
        "wrote this?",
    ),
    "another key": (
        "version: 1\nscripts: []\n",
        "MLproject.lock:2:1: unknown key 'scripts'; known: version, environments, projects",
    ),
    "no list": ("version: 1\nprojects: 3\n", "MLproject.lock:2:11: projects: must be a list"),
    "no commit": (
        "version: 1\nprojects:\n- uri: x\n  commit: --upload-pack=x\n",
        "MLproject.lock:4:11: commit: must be 40 hex digits",
    ),
    "no name": (
        "version: 1\nenvironments:\n- asks: []\n",
        "MLproject.lock:3:3: an environment has a 'name' and a 'manager'",
    ),
    "no text": (
        "version: 1\nenvironments:\n- name: x\n  manager: conda\n  locks: {linux-64: [1]}\n",
        "MLproject.lock:5:21: must be a text",
    ),
    "a conflict of git's": (
        "version: 1\n<<<<<<< HEAD\nprojects: []\n=======\n",
        "MLproject.lock:3:1: this is not YAML: could not find expected ':' while scanning a "
        "simple key",
    ),
    "code": (
        "version: 1\nprojects: !!python/object:os.system [x]\n",
        "MLproject.lock:2:11: the YAML tag !!python/object:os.system is not allowed in a project "
        "file",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_refused_at_its_place(text: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(text)
    assert error.value.message == message
