"""What a verification found, as values; `text.py`, `junit.py` and `markdown.py` show it."""

from __future__ import annotations

from enum import StrEnum

from flowrun.plan.draw import Json
from flowrun.proof.verify.difference import Difference
from flowrun.valueclass import valueclass


class Verdict(StrEnum):
    """What is said of a step, and of a whole run."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_COMPARED = "not compared"
    """Nothing of it can differ (a step on the registry, rehearsed), or it ran neither time."""
    UNDONE = "could not be done"


@valueclass
class StepCheck:
    """One step, recorded and executed again."""

    step_id: str
    verdict: Verdict
    recorded_run_id: str | None = None
    run_id: str | None = None
    differences: tuple[Difference, ...] = ()
    """The first ones, in the order of the step's outputs."""
    count: int = 0
    """Of all differences."""
    largest: float | None = None
    """How far apart the numbers are that differ most."""
    inherited_from: tuple[str, ...] = ()
    """Earlier steps that differ and whose results it took; empty: the difference is its own."""
    causes: tuple[str, ...] = ()
    """What may have made it so, in words."""
    notes: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether the difference begins here."""
        return self.verdict is Verdict.DIFFERENT and not self.inherited_from


@valueclass
class Report:
    """A whole verification."""

    verdict: Verdict
    recorded_run_id: str
    name: str
    entry_point: str
    uri: str
    commit: str | None
    tree: str | None
    run_ids: tuple[str, ...] = ()
    """The runs that it made, in the order in which they were executed."""
    steps: tuple[StepCheck, ...] = ()
    """In the plan's order."""
    lacking: tuple[str, ...] = ()
    """Facts that the record does not have."""
    problem: str | None = None
    """Why it could not be done."""
    cancelled_by: int | None = None
    """The signal that ended it."""
    start_time_ms: int = 0
    duration_ms: int = 0

    @property
    def first(self) -> StepCheck | None:
        """The first step in plan order that differs by itself; else the first that differs."""
        different = [step for step in self.steps if step.verdict is Verdict.DIFFERENT]
        return next((step for step in different if step.is_own), next(iter(different), None))


def report_to_json(report: Report) -> dict[str, Json]:
    """Give a report for programs."""
    first = report.first
    return {
        "verdict": report.verdict.value,
        "recorded_run_id": report.recorded_run_id,
        "name": report.name,
        "entry_point": report.entry_point,
        "source": report.uri,
        "commit": report.commit,
        "tree": report.tree,
        "run_ids": list(report.run_ids),
        "first_difference": first.step_id if first else None,
        "steps": [_step(step) for step in report.steps],
        "lacking": list(report.lacking),
        "problem": report.problem,
        "start_time_ms": report.start_time_ms,
        "duration_ms": report.duration_ms,
    }


def _step(step: StepCheck) -> dict[str, Json]:
    return {
        "id": step.step_id,
        "verdict": step.verdict.value,
        "recorded_run_id": step.recorded_run_id,
        "run_id": step.run_id,
        "difference_count": step.count,
        "largest_difference": step.largest,
        "differences": [
            {
                "place": each.place,
                "recorded": each.recorded,
                "found": each.found,
                "delta": each.delta,
            }
            for each in step.differences
        ],
        "inherited_from": list(step.inherited_from),
        "causes": list(step.causes),
        "notes": list(step.notes),
    }
