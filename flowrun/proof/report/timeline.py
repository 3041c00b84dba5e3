"""When which step ran: a bar for each, with a row of its own, or many in few rows."""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.engine.console import duration_text
from flowrun.proof.report.steps import ReportStep
from flowrun.valueclass import valueclass

MOST_ROWS = 40
"""With more bars than this, those that follow each other share a row, without names."""
NAMES_WIDTH, TIME_WIDTH, END_WIDTH = 230, 730, 90
ROW_HEIGHT, LANE_HEIGHT, AXIS_HEIGHT = 22, 12, 24
LABEL_LENGTH = 30
MIN_WIDTH = 1.5
MOST_TICKS = 8
TICKS_MS = tuple(
    count * unit
    for unit, counts in (
        (1, (10, 20, 50, 100, 200, 500)),
        (1000, (1, 2, 5, 10, 15, 30)),
        (60_000, (1, 2, 5, 10, 15, 30)),
        (3_600_000, (1, 2, 3, 6, 12)),
        (86_400_000, (1, 2, 7, 14, 28)),
    )
    for count in counts
)


@valueclass
class Bar:
    """One step's time."""

    label: str
    """'' where bars share rows."""
    title: str
    href: str
    style: str
    x: float
    y: float
    width: float
    height: float
    took: str


@valueclass
class Tick:
    """A moment on the axis."""

    label: str
    x: float


@valueclass
class Timeline:
    """Bars below an axis, in pixels."""

    width: int
    height: int
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    has_names: bool


def timeline(steps: Sequence[ReportStep], start_ms: int, end_ms: int) -> Timeline | None:
    """Draw when steps ran; None if none did.

    Args:
        steps: those that were reused or did not begin have no bar.
        start_ms: when the run began, in milliseconds since the epoch.
        end_ms: when it ended, or now.
    """
    spans = [
        (
            step,
            began,
            began
            + (
                step.row.duration_ms if step.row.duration_ms is not None else max(end_ms - began, 0)
            ),
        )
        for step in steps
        if not step.row.reused_from and (began := step.row.start_time_ms) is not None
    ]
    if not spans:
        return None
    spans.sort(key=lambda span: span[1])
    # clocks may have been set back in between, and steps' runs may come from another clock
    first = min(start_ms, spans[0][1])
    whole = max(end_ms, *(end for _, _, end in spans), first + 1) - first
    has_names = len(spans) <= MOST_ROWS
    left = NAMES_WIDTH if has_names else 0
    scale = (TIME_WIDTH + NAMES_WIDTH - left) / whole
    height = ROW_HEIGHT if has_names else LANE_HEIGHT
    rows = list(range(len(spans))) if has_names else _lanes([(s, e) for _, s, e in spans])
    bars = [
        Bar(
            label=_cut(step.id) if has_names else "",
            title=f"{step.id}: {step.state}, {duration_text(end - start)}",
            href=f"#{step.anchor}",
            style=step.style,
            x=left + (start - first) * scale,
            y=AXIS_HEIGHT + row * height + 2,
            width=max((end - start) * scale, MIN_WIDTH),
            height=height - 4,
            took=duration_text(end - start) if has_names else "",
        )
        for (step, start, end), row in zip(spans, rows, strict=True)
    ]
    every = next((ms for ms in TICKS_MS if whole / ms <= MOST_TICKS), whole)
    ticks = [
        Tick(duration_text(ms).replace(".0 s", " s") if ms else "0", left + ms * scale)
        for ms in range(0, whole + 1, every)
    ]
    size = AXIS_HEIGHT + (max(rows) + 1) * height + 4
    return Timeline(NAMES_WIDTH + TIME_WIDTH + END_WIDTH, size, bars, ticks, has_names)


def _lanes(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Give each span, by its start, the first row that is free then."""
    free_from: list[int] = []
    rows: list[int] = []
    for start, end in spans:
        row = next((i for i, ms in enumerate(free_from) if ms <= start), len(free_from))
        if row == len(free_from):
            free_from.append(end)
        free_from[row] = end
        rows.append(row)
    return rows


def _cut(text: str) -> str:
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"
