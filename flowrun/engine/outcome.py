"""The file of a pipeline's run that says how each step ended, and which run stands for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowrun.engine.events import StepEnded
from flowrun.errors import NotFoundError
from flowrun.tracking.artifacts import Artifacts

OUTCOME_FILE = "flowrun/outcome.json"
CACHE_TAG = "flowrun.cache"
"""On a step's run: why it ran."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """How one step ended, as it was written down."""

    status: str
    run_id: str | None
    """Its own run, or the one that stands for it."""
    detail: str
    reused_from: str | None
    """The run that stands for it, if it did not run."""
    why: str
    """Why it ran."""


def outcome_text(ended: Iterable[StepEnded]) -> str:
    """Give the file's text."""
    rows = {
        each.step_id: {
            "status": each.status.value,
            "run_id": each.run_id,
            "duration_ms": each.duration_ms,
            "detail": each.detail,
            "reused_from": each.reused_from,
            "why": each.why,
        }
        for each in ended
    }
    # A line for each step: with indentation, json takes three times as long.
    lines = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
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
    )
