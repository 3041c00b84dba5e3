"""The steps of a report: how each is, with all that its run says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from flowrun.engine.record.outcome import StepRow
from flowrun.proof.recorded import RecordedRun, RecordedStep
from flowrun.proof.states import StepState, row_word
from flowrun.valueclass import valueclass

STATES = (
    "failed",
    "killed",
    "running",
    "pending",
    "succeeded",
    "reused",
    "skipped",
    "waiting",
    "not run",
)
"""All states, in the order in which a reader wants to know of them."""
SIGNS = {
    "failed": "✗",
    "killed": "■",
    "running": "▶",
    "pending": "…",
    "succeeded": "✓",
    "reused": "↻",
    "skipped": "-",
    "waiting": "○",
    "not run": "○",
}
"""So that nobody has to tell them by their colours."""


@valueclass
class ReportStep:
    """One step."""

    number: int
    """Its place in the plan, from 1 on."""
    id: str
    state: str
    """One of `STATES`."""
    row: StepRow
    recorded: RecordedStep | None
    """Its own run, or the one that stands for it."""

    @property
    def anchor(self) -> str:
        """The place in the page with all about it."""
        return f"step-{self.number}"

    @property
    def sign(self) -> str:
        """Its state as a character."""
        return SIGNS[self.state]

    @property
    def style(self) -> str:
        """Its state as a class of the style sheet."""
        return style_of(self.state)


def report_steps(run: RecordedRun, states: Sequence[StepState]) -> list[ReportStep]:
    """Give the steps of a run; the only one of a command by itself."""
    if not states:
        return [_alone(number, step) for number, step in enumerate(run.steps, start=1)]
    recorded = {step.id: step for step in run.steps}
    return [
        ReportStep(number, each.id, _known(each.word), each.row, recorded.get(each.id))
        for number, each in enumerate(states, start=1)
    ]


def counted(states: Iterable[str]) -> list[tuple[str, int]]:
    """Count states; give those that there are, in the order of `STATES`."""
    counts = Counter(states)
    return [(state, counts[state]) for state in STATES if counts[state]]


def style_of(state: str) -> str:
    """Give the class of a state in the style sheet."""
    return state.replace(" ", "-")


def _alone(number: int, step: RecordedStep) -> ReportStep:
    word = row_word(step.status)
    took_ms = None if step.end_time_ms is None else step.end_time_ms - step.start_time_ms
    row = StepRow(word, step.run_id, step.error or "", None, "", 1, step.start_time_ms, took_ms)
    return ReportStep(number, step.id or step.entry_point, word, row, step)


def _known(word: str) -> str:
    """Anyone may write to a store."""
    return word if word in STATES else "not run"
