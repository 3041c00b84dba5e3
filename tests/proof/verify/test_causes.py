"""What is told of why a step differs."""

from __future__ import annotations

import pytest

from flowrun.proof.recorded import RecordedEnv
from flowrun.proof.verify.causes import chance_cause, env_causes, looks_like_time
from flowrun.proof.verify.difference import Difference

TIMES = {
    "date": ("2026-11-21", "2026-11-22", True),
    "ISO": ("'at': '2026-11-21T16:00:01.5Z'", "'at': '2026-11-22T01:00:00Z'", True),
    "as date prints it": ("Sat Nov 21 17:28:44 UTC 2026", "Sun Nov 22 17:28:45 UTC 2026", True),
    "clock": ("took until 17:28", "took until 17:29", True),
    "seconds": ("1795282128", "1795282129", True),
    "seconds with a fraction": ("1795282128.25", "1795282129.5", True),
    "milliseconds": ("t=1795282128638", "t=1795282128700", True),
    "nanoseconds": ("1795282128638123456", "1795282128638123999", True),
    "a number": ("0.25", "0.75", False),
    "a small number": ("17", "18", False),
    "a version": ("1.2.3", "1.2.4", False),
    "text": ("one", "two", False),
    "a time and something else": ("2026-11-21 a", "2026-11-22 b", False),
}


@pytest.mark.parametrize(("old", "new", "is_time"), TIMES.values(), ids=TIMES)
def test_time_stamp_is_told_from_other_texts(old: str, new: str, is_time: bool) -> None:
    assert looks_like_time(Difference("line 1", old, new)) is is_time


def test_cause_names_the_time_only_if_nothing_else_differs() -> None:
    time = Difference("line 1", "2026-11-21", "2026-11-22")
    other = Difference("line 2", "0.1", "0.2")
    assert "it writes the time at which it runs" in chance_cause([time])
    assert "line 1 looks like a time stamp" in chance_cause([time, other])
    assert chance_cause([other]).endswith(
        "(a random number without a seed, the order of threads or files)."
    )


def _env(lock: str | None, backend: str = "virtualenv", **image: str) -> RecordedEnv:
    return RecordedEnv(backend, str(hash(lock)), lock, **image)


HEAD = "# env/1\n# python 3.11.7 cpython-311\n"
ENVS = {
    "moved": (_env(HEAD + "a==1\nb==2\n"), _env(HEAD + "a==1\nb==3\n"), "b 2 -> 3"),
    "new and gone": (_env(HEAD + "a==1\n"), _env(HEAD + "b==2\n"), "a 1 is gone, b 2 is new"),
    "python": (
        _env(HEAD),
        _env(HEAD.replace("3.11.7", "3.11.8")),
        "python 3.11.7 -> 3.11.8",
    ),
    "files": (
        _env(HEAD + "a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n"),
        _env(HEAD + "a==1 \\\n    --hash=sha256:" + "1" * 64 + "\n"),
        "other files of the same versions",
    ),
    "kind": (_env(HEAD), _env(HEAD, "conda"), "virtualenv then, conda now"),
    "no lock": (_env(None), _env(HEAD), "the record lacks its lock"),
}


@pytest.mark.parametrize(("old", "new", "said"), ENVS.values(), ids=ENVS)
def test_what_differs_in_an_environment_is_named(
    old: RecordedEnv, new: RecordedEnv, said: str
) -> None:
    [cause] = env_causes(old, new)
    assert said in cause
    assert list(env_causes(old, old)) == []


def test_long_lists_of_packages_are_cut() -> None:
    old, new = (_env(HEAD + "".join(f"p{i}=={v}\n" for i in range(30))) for v in (1, 2))
    [cause] = env_causes(old, new)
    assert cause.endswith("and 20 more")
