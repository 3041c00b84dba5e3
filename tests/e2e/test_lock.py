"""`flowrun lock`, and runs that take what it wrote down."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.envs.index import private_index
from tests.envs.wheels import write_package, write_wheel
from tests.support.git_http import git_host
from tests.support.repositories import Repository
from tests.support.space import Space

PROJECT = """\
name: wine
python_env: python_env.yaml
entry_points:
  prepare: {command: "python show.py"}
  other:
    command: "python show.py"
    python_env: other/requirements.txt
  main:
    steps:
      first: {entry_point: prepare}
      second: {entry_point: prepare, needs: [first]}
"""
SHOW = "import alpha\nprint('alpha', alpha.version)\n"
FILES = {
    "MLproject": PROJECT,
    "python_env.yaml": "dependencies:\n- alpha<3\n",
    "other/requirements.txt": "beta\n",
    "show.py": SHOW,
}


def wheels(space: Space) -> Path:
    return space.path / "wheels"


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a folder whose `wheels` are all the packages there are."""
    space = Space(
        tmp_path,
        {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(tmp_path / "wheels"),
            "PIP_NO_INDEX": "1",
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        },
    )
    write_wheel(wheels(space), "alpha", "1.0")
    write_wheel(wheels(space), "beta", "1.0", requires=["alpha"])
    return space


@pytest.fixture
def wine(space: Space) -> Space:
    """Write a project that is locked while there is only alpha 1.0; then 2.0 comes out."""
    space.write({f"wine/{name}": text for name, text in FILES.items()})
    space.flowrun("lock", "wine")
    write_wheel(wheels(space), "alpha", "2.0")
    return space


def test_every_environment_is_locked_and_runs_take_what_was_locked(wine: Space) -> None:
    text = wine.read("wine/MLproject.lock")
    assert text.count("alpha==1.0 \\\n") == 2
    assert "name: other/requirements.txt" in text
    assert "second | alpha 1.0" in wine.flowrun("run", "wine").out
    assert "alpha 1.0" in wine.flowrun("run", "wine", "-e", "other", "--locked").out
    (wine.path / "wine/MLproject.lock").unlink()
    assert "second | alpha 2.0" in wine.flowrun("run", "wine").out


def test_lock_names_no_place_of_this_machine_and_is_written_the_same_again(wine: Space) -> None:
    text = wine.read("wine/MLproject.lock")
    assert str(wine.path) not in text
    assert "up to date" in wine.flowrun("lock", "wine").out
    assert "up to date" in wine.flowrun("lock", "--check", "wine").out
    shutil.copytree(wine.path / "wine", wine.path / "elsewhere/copy")
    (wine.path / "elsewhere/copy/MLproject.lock").unlink()
    for wheel in wheels(wine).glob("alpha-2*"):
        wheel.unlink()
    shutil.rmtree(wine.home)
    wine.flowrun("lock", "elsewhere/copy")
    assert wine.read("elsewhere/copy/MLproject.lock") == text


def test_what_is_locked_stays_until_it_is_upgraded(wine: Space) -> None:
    wine.write({"wine/python_env.yaml": "dependencies:\n- alpha<3\n- beta\n"})
    wine.flowrun("lock", "wine")
    assert wine.read("wine/MLproject.lock").count("alpha==1.0 \\\n") == 2
    done = wine.flowrun("lock", "wine", "--upgrade", "python_env.yaml")
    assert "python_env.yaml (linux-64):\n  alpha 1.0 -> 2.0\n" in done.out
    assert wine.read("wine/MLproject.lock").count("alpha==1.0 \\\n") == 1
    done = wine.flowrun("lock", "--upgrade", "alpha", "wine")
    assert "other/requirements.txt (linux-64):\n  alpha 1.0 -> 2.0\n" in done.out
    assert "alpha==1.0" not in wine.read("wine/MLproject.lock")


def test_everything_is_upgraded_without_a_name(wine: Space) -> None:
    wine.flowrun("lock", "wine", "--upgrade")
    assert wine.read("wine/MLproject.lock").count("alpha==2.0 \\\n") == 2


def test_name_that_is_not_locked_can_not_be_upgraded(wine: Space) -> None:
    done = wine.flowrun("lock", "wine", "--upgrade", "alhpa", code=2)
    assert done.err.endswith(
        "flowrun: --upgrade alhpa: nothing in MLproject.lock is called so\n"
        "Name a package, an environment's file, an image or a project's URI.\n"
    )


CHANGED = {
    "another version": (
        {"python_env.yaml": "dependencies:\n- alpha<2\n"},
        "python_env.yaml:2:3: asks for 'alpha<2', but it was locked for 'alpha<3'",
    ),
    "one more": (
        {"python_env.yaml": "dependencies:\n- alpha<3\n- beta\n"},
        "python_env.yaml:3:3: asks for 'beta', but was not when it was locked",
    ),
    "one less": (
        {"python_env.yaml": "dependencies: []\n"},
        "python_env.yaml:1:1: asks no more for 'alpha<3', for which it was locked",
    ),
    "another file": (
        {"MLproject": PROJECT.replace(": python_env.yaml", ": other/requirements.txt"), "x": ""},
        "MLproject.lock:16:3: environment python_env.yaml (virtualenv) is asked for no more",
    ),
    "another environment": (
        {"MLproject": PROJECT.replace(": python_env.yaml", ": new.txt"), "new.txt": "alpha"},
        "MLproject.lock:1:1: environment new.txt (virtualenv) is not in it",
    ),
}


@pytest.mark.parametrize(("files", "problem"), CHANGED.values(), ids=CHANGED)
def test_stale_lock_is_told_with_the_line(files: dict[str, str], problem: str, wine: Space) -> None:
    wine.write({f"wine/{name}": text for name, text in files.items()})
    done = wine.flowrun("lock", "--check", "wine", code=1)
    assert problem in done.out.splitlines()


def test_locked_run_refuses_a_stale_lock_and_another_run_warns(wine: Space) -> None:
    wine.write({"wine/python_env.yaml": "dependencies:\n- alpha>=1\n"})
    problem = "python_env.yaml:2:3: asks for 'alpha>=1', but it was locked for 'alpha<3'"
    refused = wine.flowrun("run", "wine", "--locked", code=2)
    assert refused.err == f"flowrun: {problem}\nRun `flowrun lock`, or leave --locked out.\n"
    assert wine.runs() == []
    done = wine.flowrun("run", "wine")
    assert f"warning: {problem}; see `flowrun lock`\n" in done.err
    # What is resolved anew keeps to what was locked where that still fits.
    assert "first | alpha 1.0" in done.out


def test_locked_run_needs_a_lock_file_and_environments_that_can_be_locked(space: Space) -> None:
    space.write({f"wine/{name}": text for name, text in FILES.items()})
    done = space.flowrun("run", "wine", "--locked", code=2)
    assert "--locked: wine has no MLproject.lock" in done.err
    done = space.flowrun("run", "wine", "--locked", "--env-manager", "local", code=2)
    assert "--locked and --env-manager local exclude each other" in done.err


def test_locked_run_refuses_a_platform_that_is_not_locked(wine: Space) -> None:
    text = wine.read("wine/MLproject.lock")
    wine.write({"wine/MLproject.lock": text.replace("linux-64:", "osx-arm64:")})
    done = wine.flowrun("run", "wine", "--locked", code=2)
    assert (
        "MLproject.lock:16:3: environment python_env.yaml is not locked for linux-64; "
        "it is for osx-arm64" in done.err
    )


def test_other_platforms_are_locked_beside_this_one_and_stay(wine: Space) -> None:
    wine.flowrun("lock", "wine", "--platform", "linux-64", "--platform", "osx-arm64")
    text = wine.read("wine/MLproject.lock")
    assert "    osx-arm64: |\n      # env/1\n      # python 3.11.7 cpython-311-darwin\n" in text
    wine.write({"wine/python_env.yaml": "dependencies:\n- alpha<4\n"})
    wine.flowrun("lock", "wine")
    assert wine.read("wine/MLproject.lock").count("osx-arm64: |") == 2
    done = wine.flowrun("lock", "wine", "--platform", "amiga", code=2)
    assert "'amiga' is no platform that flowrun locks for" in done.err


def test_check_and_dry_run_write_nothing_and_build_nothing(wine: Space) -> None:
    before = wine.read("wine/MLproject.lock")
    write_package(wine.path / "wine/pkg", "gamma", "", extra="raise SystemExit('built')")
    wine.write({"wine/python_env.yaml": "dependencies:\n- alpha<3\n- ./pkg\n"})
    assert "'./pkg (described by" in wine.flowrun("lock", "--check", "wine", code=1).out
    done = wine.flowrun("lock", "--dry-run", "wine", "--upgrade")
    assert "alpha 1.0 -> 2.0" in done.out
    assert done.out.endswith("/wine/MLproject.lock would be written\n")
    assert wine.read("wine/MLproject.lock") == before
    assert "built" not in done.text


def test_package_of_the_project_may_change_without_a_new_lock(space: Space) -> None:
    write_package(space.path / "p/pkg", "gamma", "version = 1\n")
    space.write(
        {
            "p/MLproject": 'entry_points:\n  main: {command: "python show.py"}\n',
            "p/show.py": "import gamma\nprint('gamma', gamma.version)\n",
            "p/python_env.yaml": "dependencies: [./pkg]\n",
        }
    )
    space.flowrun("lock", "p")
    assert "./pkg  # of this project\n" in space.read("p/MLproject.lock")
    assert "gamma 1" in space.flowrun("run", "p", "--locked").out
    space.write({"p/pkg/gamma.py": "version = 2\n"})
    assert "gamma 2" in space.flowrun("run", "p", "--locked").out
    recorded = [path.read_text() for path in space.home.rglob("flowrun/environment.lock")]
    assert len(set(recorded)) == 2
    assert all("\n./pkg  # sha256:" in lock for lock in recorded)


HOSTILE = {
    "an option": ("--index-url https://evil.example", "is an option, and a lock has none"),
    "no hash": ("gamma==1.0", "'gamma==1.0' has no hash"),
    "an address": (
        f"gamma @ https://evil.example/gamma.whl --hash=sha256:{'0' * 64}",
        "is at an address that the project does not ask for",
    ),
}


@pytest.mark.parametrize(("line", "problem"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_lock_file_is_refused_before_any_run_exists(
    line: str, problem: str, wine: Space
) -> None:
    text = wine.read("wine/MLproject.lock")
    wine.write({"wine/MLproject.lock": text.replace("alpha==1.0", f"{line}\n      alpha==1.0")})
    done = wine.flowrun("run", "wine", code=2)
    assert "lock of python_env.yaml:3:1: " in done.err
    assert problem in done.err
    assert wine.runs() == []


@pytest.mark.parametrize("path", ["../../..", "/etc", "./nothing"])
def test_lock_names_no_folder_but_the_projects_own(path: str, wine: Space) -> None:
    text = wine.read("wine/MLproject.lock")
    line = f"      {path}  # of this project\n"
    wine.write({"wine/MLproject.lock": text.replace("projects:", f"{line}projects:") + line})
    done = wine.flowrun("run", "wine", code=2)
    assert done.err == (
        f"flowrun: MLproject.lock:16:3: environment python_env.yaml: '{path}' is no package of "
        "the project\n"
    )


def test_locked_run_needs_nothing_but_the_caches(space: Space) -> None:
    variables = {"PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": str(space.path / "cache")}
    with private_index(wheels(space)) as index:
        online = Space(space.path, {**variables, "UV_DEFAULT_INDEX": index.url("simple")})
        online.write({f"wine/{name}": text for name, text in FILES.items()})
        online.flowrun("lock", "wine")
        online.flowrun("run", "wine", "--locked")
        assert "127.0.0.1" not in online.read("wine/MLproject.lock")
    write_wheel(wheels(space), "alpha", "2.0")
    offline = replace(online, variables={**online.variables, "UV_HTTP_RETRIES": "0"})
    assert "second | alpha 1.0" in offline.flowrun("run", "wine", "--locked", "--no-cache").out
    subprocess.run(["rm", "-rf", space.home / "cache/envs/envs"], check=True)
    assert "second | alpha 1.0" in offline.flowrun("run", "wine", "--locked", "--no-cache").out


def test_package_that_is_gone_is_named(wine: Space) -> None:
    for wheel in wheels(wine).glob("alpha-1*"):
        wheel.unlink()
    shutil.rmtree(wine.path / "uv-cache")
    done = wine.flowrun("run", "wine", "--locked", code=3)
    assert "no version of 'alpha" in done.text


@pytest.fixture
def features(space: Space) -> Repository:
    """Make another project, in git, with a tag."""
    repository = space.repository(
        "features",
        {
            "MLproject": 'entry_points:\n  main: {command: "cat which.txt; python -V"}\n',
            "python_env.yaml": "dependencies: [alpha]\n",
            "which.txt": "first\n",
        },
    )
    repository.tag("v1")
    return repository


CALLER = """\
entry_points:
  main:
    steps:
      make: {project: ../features, version: v1}
      here: {project: "#inner"}
"""


def test_other_projects_are_locked_to_commits_with_their_environments(
    space: Space, features: Repository
) -> None:
    files = {
        "MLproject": CALLER,
        "inner/MLproject": 'entry_points:\n  main: {command: "python -V"}\n',
        "inner/python_env.yaml": "dependencies: [beta]\n",
    }
    repository = space.repository("train", files)
    first = features.head
    space.flowrun("lock", "train")
    text = space.read("train/MLproject.lock")
    assert f"- uri: ../features\n  version: v1\n  commit: {first}\n" in text
    assert '- uri: "#inner"\n  environments:\n' in text
    features.commit({"which.txt": "second\n"})
    features.git("tag", "--force", "v1")
    repository.commit({"MLproject.lock": text}, "lock")
    assert "make | first" in space.flowrun("run", repository.url, "--locked").out
    tags = space.run_of("make")["tags"]
    assert (tags["mlflow.source.git.commit"], tags["flowrun.source.ref"]) == (first, "v1")
    assert space.flowrun("lock", "--check", "train").out == "MLproject.lock is up to date\n"
    done = space.flowrun("lock", "train", "--upgrade", "../features")
    assert f"../features (v1):\n  id {first} -> {features.head}\n" in done.out
    assert "make | second" in space.flowrun("run", "train", "--locked").out


def test_project_that_is_not_in_the_lock_is_told(space: Space, features: Repository) -> None:
    space.repository(
        "train", {"MLproject": CALLER.replace('      here: {project: "#inner"}\n', "")}
    )
    space.flowrun("lock", "train")
    features.tag("v2")
    space.write({"train/MLproject": space.read("train/MLproject").replace("v1", "v2")})
    done = space.flowrun("run", "train", "--locked", code=2)
    assert "MLproject.lock:1:1: project ../features (v2) is not in it" in done.err
    done = space.flowrun("lock", "--check", "train", code=1)
    assert "project ../features (v1) is asked for no more" in done.out


def test_lock_file_of_another_project_counts_where_the_caller_has_none(
    space: Space, features: Repository
) -> None:
    space.flowrun("lock", "features")
    locked = features.commit({"MLproject.lock": space.read("features/MLproject.lock")}, "lock")
    features.git("tag", "--force", "v1")
    write_wheel(wheels(space), "alpha", "2.0")
    space.repository(
        "train", {"MLproject": CALLER.replace('      here: {project: "#inner"}\n', "")}
    )
    space.flowrun("run", "train")
    assert space.run_of("make")["tags"]["mlflow.source.git.commit"] == locked
    (lock,) = space.home.rglob("flowrun/environments/*.lock")
    assert "alpha==1.0" in lock.read_text()
    space.flowrun("lock", "train")
    assert "alpha==1.0" in space.read("train/MLproject.lock")


def test_lock_of_what_is_not_on_this_disk_is_written_where_the_user_says(
    space: Space, features: Repository
) -> None:
    bare = features.bare(space.path / "features.git")
    done = space.flowrun("lock", bare.url, "-v", "v1", code=2)
    assert "Name a file with --output." in done.err
    shown = space.flowrun("lock", bare.url, "-v", "v1", "-o", "-").out
    space.flowrun("lock", bare.url, "-v", "v1", "-o", "my.lock")
    assert space.read("my.lock") == shown
    assert shown.startswith("# Written by `flowrun lock`")


def test_plan_says_that_the_lock_is_used(wine: Space) -> None:
    assert "1 environment as in MLproject.lock" in wine.flowrun("plan", "wine").err
    wine.write({"wine/python_env.yaml": "dependencies:\n- alpha\n"})
    assert "asks for 'alpha', but it was locked for 'alpha<3'" in wine.flowrun("plan", "wine").err
    wine.flowrun("plan", "wine", "--locked", code=2)


def test_project_without_a_lock_file_loads_nothing_for_locks(space: Space) -> None:
    space.write({"p/MLproject": 'entry_points:\n  main: {command: "true"}\n'})
    done = space.flowrun(
        "run", "p", "--env-manager", "local", PYTHONPROFILEIMPORTTIME="1", code=None
    )
    assert (
        "flowrun.engine.prepare.locked " in done.err
        or "flowrun.engine.prepare.locked\n" in done.err
    )
    assert "flowrun.spec.lockfile" not in done.err
    assert "flowrun.engine.prepare.locking" not in done.err


def test_python_that_can_not_be_had_is_told_and_the_packages_stay_near_the_lock(
    wine: Space,
) -> None:
    text = wine.read("wine/MLproject.lock")
    python = text.partition("# python ")[2].partition(" ")[0]
    wine.write({"wine/MLproject.lock": text.replace(python, "3.11.99")})
    (wine.path / "home").mkdir()
    own = {"UV_PYTHON_DOWNLOADS": "never", "HOME": str(wine.path / "home")}
    wine = replace(wine, variables={**wine.variables, **own})
    done = wine.flowrun("run", "wine", "--locked", code=2)
    assert done.err.startswith("flowrun: MLproject.lock:16:3: Python 3.11.99 is not installed.\n")
    done = wine.flowrun("run", "wine")
    assert "warning: MLproject.lock:16:3: Python 3.11.99 is not installed." in done.err
    assert "second | alpha 1.0" in done.out


def test_locked_branch_of_another_project_needs_no_host_once_it_is_cached(space: Space) -> None:
    files = {"MLproject": 'entry_points:\n  main: {command: "cat which.txt"}\n'}
    repository = space.repository("features", {**files, "which.txt": "first\n"})
    repository.bare(space.path / "hosted/features.git")
    caller = "entry_points:\n  main:\n    steps:\n      make: {{project: '{}', version: main}}\n"
    with git_host(space.path / "hosted") as host:
        address = f"{host.url}/features.git"
        space.write({"train/MLproject": caller.format(address)})
        space.flowrun("lock", "train")
        assert "make | first" in space.flowrun("run", "train", "--locked").out
    done = space.flowrun("run", "train", "--locked", "--no-cache")
    assert "make | first" in done.out
    (space.path / "train/MLproject.lock").unlink()
    done = space.flowrun("run", "train", "--offline")
    assert f"{address}: main is taken as last seen, commit {repository.head}" in done.err
    space.flowrun("run", "train", code=3)


def test_what_is_not_cached_is_not_fetched_offline(space: Space) -> None:
    caller = "entry_points:\n  main:\n    steps:\n      make: {project: 'https://host/x.git'}\n"
    space.write({"train/MLproject": caller})
    done = space.flowrun("run", "train", "--offline", code=3)
    assert (
        "https://host/x.git: this version is not in this machine's caches, and nothing is fetched "
        "because of --offline" in done.err
    )
