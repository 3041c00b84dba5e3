"""Several environments at once: each is asked for once, no more at a time than allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowrun.envs.base import Env, EnvRequest, PrefixEnv, Progress
from flowrun.envs.side_by_side import SideBySide
from flowrun.errors import CancelledError, EnvError
from flowrun.spec.project import EnvKind, EnvSpec
from tests.support.waiting import until


def request(number: int) -> EnvRequest:
    return EnvRequest(EnvSpec(EnvKind.IMPLIED), Path(str(number)))


def env(number: int) -> PrefixEnv:
    return PrefixEnv("virtualenv", str(number), Path(str(number)), Path("python"), "")


@dataclass
class Maker:
    """Makes environments when it is told to go on."""

    go_on: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0
    now: int = 0
    most: int = 0

    def __call__(
        self, request: EnvRequest, progress: Progress, *, is_cancelled: Callable[[], bool]
    ) -> Env:
        with self.lock:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            progress("building")
            until(lambda: self.go_on.is_set() or is_cancelled(), what="the word to go on")
            if is_cancelled():
                raise CancelledError("cancelled")
            if request.directory.name == "2":
                raise EnvError("no such package")
            return env(int(request.directory.name))
        finally:
            with self.lock:
                self.now -= 1


@dataclass
class Heard:
    said: list[tuple[int, str]] = field(default_factory=list)
    came: dict[int, Env | BaseException] = field(default_factory=dict)

    def progress(self, place: int, text: str) -> None:
        self.said.append((place, text))

    def ended(self, place: int, came: Env | BaseException) -> None:
        assert place not in self.came
        self.came[place] = came


@pytest.mark.parametrize("at_once", [1, 3, 9])
def test_as_many_as_allowed_are_built_at_once(at_once: int) -> None:
    maker, heard = Maker(), Heard()
    builds = SideBySide([request(n) for n in (0, 1, 3, 4)], maker, heard, at_once=at_once)
    until(lambda: maker.now == min(at_once, 4), what="the builders")
    maker.go_on.set()
    builds.join()
    assert maker.most == min(at_once, 4)
    assert heard.came == {place: env(n) for place, n in enumerate((0, 1, 3, 4))}
    assert sorted(heard.said) == [(place, "building") for place in range(4)]


def test_one_that_fails_does_not_stop_the_others() -> None:
    maker, heard = Maker(), Heard()
    maker.go_on.set()
    SideBySide([request(n) for n in (1, 2, 3)], maker, heard, at_once=1).join()
    assert (heard.came[0], heard.came[2]) == (env(1), env(3))
    assert isinstance(heard.came[1], EnvError)


def test_closing_ends_what_is_built_and_begins_nothing_more() -> None:
    maker, heard = Maker(), Heard()
    builds = SideBySide([request(n) for n in range(5)], maker, heard, at_once=2)
    until(lambda: maker.now == 2, what="the builders")
    builds.close()
    assert maker.begun == 2
    assert [type(came) for came in heard.came.values()] == [CancelledError] * 2


def test_nothing_to_build_is_done_at_once() -> None:
    SideBySide([], Maker(), Heard(), at_once=2).join()
