"""What a terminal and a log show of environments that are built beside steps."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flowrun.engine.console import PlainConsole, metrics_text
from flowrun.engine.events import EnvEnded, EnvProgress, RunBegan, StepBegan
from flowrun.engine.live_console import LiveConsole
from flowrun.sources.source import Source, SourceKind
from tests.plan.planning import plan_of
from tests.support.waiting import until

THREE = ("train[lr=1]", "train[lr=2]", "score")
BEGAN = RunBegan(
    "f00d",
    "mild-owl",
    "Default",
    plan_of("entry_points: {main: {steps: {a: {run: x}}}}"),
    Source(SourceKind.LOCAL, "file:///p", Path("/cache"), "0" * 40, "", None),
)


def test_log_has_a_line_for_each_thing_that_happens_to_an_environment() -> None:
    out = io.StringIO()
    console = PlainConsole(out)
    console.on(EnvProgress(THREE, "resolving conda.yaml (2 conda packages)"))
    console.on(EnvProgress(("prepare",), "pulling image python:3.12"))
    console.on(EnvEnded(THREE))
    assert out.getvalue() == (
        "train[lr=1] and 2 more | resolving conda.yaml (2 conda packages)\n"
        "prepare | pulling image python:3.12\n"
    )


def test_terminal_shows_each_environment_for_as_long_as_it_is_built() -> None:
    out = io.StringIO()
    console = LiveConsole(Console(file=out, force_terminal=True, width=120))

    def shown() -> str:
        """Give what is drawn from now on, a whole frame at least."""
        before = len(out.getvalue())
        until(lambda: out.getvalue().count("of 1 steps", before) >= 2, what="another frame")
        return out.getvalue()[before:]

    try:
        console.on(BEGAN)
        console.on(EnvProgress(THREE, "building environment"))
        console.on(EnvProgress(("other",), "resolving"))
        text = shown()
        assert "train[lr=1] and 2 more" in text
        assert "building environment" in text
        assert "resolving" in text
        console.on(EnvEnded(THREE))
        console.on(StepBegan("a", "beef"))
        shown()
        assert "building environment" not in shown()
        assert "resolving" in shown()
    finally:
        console.close()


MANY = {"a": 1.0, "b": 2.0, "c": 0.123456, "champion/z": 7.0, "y": 6.0, "z": 5.0}
METRICS = {
    "by name": ((), "a 1, b 2, c 0.1235, champion/z 7, 2 more"),
    "named, beside the champion's": (("z", "gone"), "z 5 (champion 7), a 1, b 2, c 0.1235, 1 more"),
    "all that are named": (("z", "y", "c", "b", "a"), "z 5 (champion 7), y 6, c 0.1235, b 2, a 1"),
}


@pytest.mark.parametrize(("named", "text"), METRICS.values(), ids=METRICS)
def test_metrics_that_the_step_names_are_told_first(named: tuple[str, ...], text: str) -> None:
    assert metrics_text(MANY, named) == text
