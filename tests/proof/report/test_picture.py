"""The picture of a plan: everything in its place, whatever the plan says."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from flowrun.engine.record.outcome import StepRow
from flowrun.proof.report.page import needs_of
from flowrun.proof.report.picture import BOX_HEIGHT, MOST_BOXES, Picture, draw
from flowrun.proof.report.steps import ReportStep
from flowrun.proof.report.timeline import MOST_ROWS, timeline


def _steps(ids: list[str]) -> list[ReportStep]:
    return [
        ReportStep(number, id_, "succeeded", StepRow("succeeded", "beef"), None)
        for number, id_ in enumerate(ids, start=1)
    ]


def _draw(needs: dict[str, list[str]]) -> Picture:
    return draw(_steps(list(needs)), needs)


@st.composite
def _plans(draw: st.DrawFn) -> dict[str, list[str]]:
    count = draw(st.integers(1, 25))
    ids = [f"s{n}" for n in range(count)]
    return {
        id_: draw(st.lists(st.sampled_from(ids[:n]), max_size=4, unique=True)) if n else []
        for n, id_ in enumerate(ids)
    }


@given(_plans())
def test_each_box_is_right_of_what_it_needs_and_touches_no_other(
    needs: dict[str, list[str]],
) -> None:
    picture = _draw(needs)
    boxes = {box.label: box for box in picture.boxes}
    assert set(boxes) == set(needs)
    for id_, before in needs.items():
        assert all(boxes[need].x < boxes[id_].x for need in before)
    for one, other in itertools.combinations(picture.boxes, 2):
        assert one.x != other.x or abs(one.y - other.y) >= BOX_HEIGHT
    for box in picture.boxes:
        assert 0 <= box.x <= picture.width - picture.box_width
        assert 0 <= box.y <= picture.height - picture.box_height


def test_lines_that_follow_from_others_are_left_out() -> None:
    assert len(_draw({"a": [], "b": ["a"], "c": ["a", "b"]}).lines) == 2


def test_a_plan_in_a_circle_is_drawn_without_the_lines_that_make_it_one() -> None:
    assert len(_draw({"a": ["c", "a"], "b": ["a"], "c": ["b", "never heard of"]}).lines) == 2


def test_many_instances_share_a_box_that_says_how_they_are() -> None:
    steps = _steps([f"train[x={n}]" for n in range(MOST_BOXES)])
    failed = ReportStep(99, "train[x=bad]", "failed", StepRow("failed", "beef"), None)
    [box] = draw([*steps, failed], {}).boxes
    assert box.label == f"train ×{MOST_BOXES + 1}"  # noqa: RUF001 - as it is shown
    assert box.title == f"{box.label}: 1 failed, {MOST_BOXES} succeeded"
    assert (box.style, box.href) == ("failed", "#step-99")
    assert [part.style for part in box.parts] == ["failed", "succeeded"]


def _ran(number: int, start_ms: int, duration_ms: int | None) -> ReportStep:
    row = StepRow("succeeded", "beef", start_time_ms=start_ms, duration_ms=duration_ms)
    return ReportStep(number, f"s{number}", "succeeded", row, None)


def test_the_timeline_holds_every_bar_also_when_the_clock_was_set_back() -> None:
    steps = [_ran(1, 10_000, 5_000), _ran(2, 2_000, 500), _ran(3, 9_000, None)]
    drawn = timeline(steps, 9_500, 9_900)
    assert drawn is not None
    assert [bar.label for bar in drawn.bars] == ["s2", "s3", "s1"]
    for bar in drawn.bars:
        assert 0 < bar.x < bar.x + bar.width <= drawn.width
        assert 0 < bar.y < bar.y + bar.height <= drawn.height


def test_many_bars_share_rows_without_lying_on_each_other() -> None:
    count = MOST_ROWS + 10
    drawn = timeline([_ran(n, 100 * n, 150) for n in range(count)], 0, 100 * count)
    assert drawn is not None
    rows: dict[float, float] = {}
    for bar in drawn.bars:
        assert bar.x >= rows.get(bar.y, 0.0) - 0.001
        rows[bar.y] = bar.x + bar.width
    assert len(rows) == 2


def test_without_a_step_that_ran_there_is_no_timeline() -> None:
    reused = ReportStep(1, "a", "reused", StepRow("succeeded", "beef", "", "beef"), None)
    assert timeline([reused], 0, 10) is None


def test_what_only_hands_others_on_is_left_out_of_the_picture() -> None:
    steps = [
        {"id": "list", "kind": "command", "needs": []},
        {"id": "each[1]", "kind": "command", "needs": ["list"]},
        {"id": "each", "kind": "collect", "needs": ["list", "each[1]"]},
        {"id": "sub/a", "kind": "command", "needs": ["each"]},
        {"id": "sub", "kind": "pipeline", "needs": ["sub/a"]},
        {"id": "last", "kind": "command", "needs": ["sub"]},
    ]
    assert needs_of(json.loads(json.dumps({"steps": steps}))) == {
        "list": [],
        "each[1]": ["list"],
        "sub/a": ["list", "each[1]"],
        "last": ["sub/a"],
    }
