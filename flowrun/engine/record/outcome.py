"""The file of a pipeline's run that says of each step how it is, and which run stands for it.

It is written again and again while the pipeline runs (`journal.py`), and a last time at its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields

from flowrun.engine.events import Attempt
from flowrun.errors import NotFoundError
from flowrun.tracking.artifacts import Artifacts
from flowrun.valueclass import valueclass

OUTCOME_FILE = "flowrun/outcome.json"
SWEEP_TAG = "flowrun.sweep"
"""On a sweep's run: its sampler."""
CACHE_TAG = "flowrun.cache"
"""On a step's run: why it ran."""

WAITING = "waiting"
RUNNING = "running"
NOT_OVER = frozenset({WAITING, RUNNING})
"""Beside them `StepStatus` has the words for steps that are over."""


@valueclass
class StepRow:
    """How one step is, as it was written down."""

    status: str
    """`waiting`, `running`, or how it ended: the words of `StepStatus`."""
    run_id: str | None = None
    """Its own run, or the one that stands for it."""
    detail: str = ""
    """What went wrong, or what an engine's step did; of a step that is not over what it is at."""
    reused_from: str | None = None
    """The run that stands for it, if it did not run."""
    why: str = ""
    """Why it ran."""
    attempts: int = 0
    """How many times it began."""
    start_time_ms: int | None = None
    """None: it did not begin."""
    duration_ms: int | None = None
    """None: it is not over."""
    failed_attempts: tuple[Attempt, ...] = ()
    """Those before the one that stands, or that is still to come."""

    @property
    def is_over(self) -> bool:
        """Nothing more will happen to it."""
        return self.status not in NOT_OVER


def outcome_text(rows: Mapping[str, StepRow]) -> str:
    """Give the file's text."""
    names = [field.name for field in fields(StepRow)]
    # A line for each step: with indentation, json takes three times as long.
    lines = (
        f"{json.dumps(step_id)}: "
        f"{json.dumps({name: getattr(row, name) for name in names}, default=asdict)}"
        for step_id, row in rows.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_outcome(artifacts: Artifacts) -> Mapping[str, StepRow] | None:
    """Read it; None if there is none (yet), or it is no such file: anyone may write to a store."""
    try:
        with artifacts.open(OUTCOME_FILE) as file:
            return parse_outcome(json.load(file))
    except (NotFoundError, ValueError):
        return None


def parse_outcome(data: object) -> Mapping[str, StepRow] | None:
    """Take the file's JSON apart."""
    if not isinstance(data, dict):
        return None
    return {str(name): _row(row) for name, row in data.items() if isinstance(row, dict)}


def _row(row: Mapping[str, object]) -> StepRow:
    run_id, reused_from = row.get("run_id"), row.get("reused_from")
    return StepRow(
        str(row.get("status", "")),
        str(run_id) if run_id else None,
        str(row.get("detail", "")),
        str(reused_from) if reused_from else None,
        str(row.get("why", "")),
        _number(row.get("attempts")) or 0,
        _number(row.get("start_time_ms")),
        _number(row.get("duration_ms")),
        tuple(_attempts(row.get("failed_attempts"))),
    )


def _attempts(rows: object) -> Iterator[Attempt]:
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            run_id, detail = row.get("run_id"), row.get("detail")
            yield Attempt(
                _number(row.get("number")) or 0,
                str(run_id) if run_id else None,
                _number(row.get("duration_ms")) or 0,
                str(detail or ""),
            )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else None
