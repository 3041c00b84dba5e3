"""What a comparison of two recorded runs says: fact by fact, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from flowrun.proof.recorded import RecordedContent, RecordedRun
from flowrun.valueclass import valueclass


@valueclass
class Change:
    """A fact in both runs; None: one of them has no such fact."""

    name: str
    before: str | float | None
    after: str | float | None

    @property
    def is_same(self) -> bool:
        """True if it does not differ; a number that is none (nan) is like another."""
        return self.before == self.after or repr(self.before) == repr(self.after)


@valueclass
class ContentChange:
    """An input or output in both runs, compared by its content."""

    name: str
    before: RecordedContent | None
    after: RecordedContent | None

    @property
    def is_same(self) -> bool:
        """True if both are there and hold the same bytes."""
        if self.before is None or self.after is None:
            return self.before is self.after
        return self.before.sha256 == self.after.sha256


@valueclass
class StepDifference:
    """A step in both runs."""

    before: str | None
    """Its id; None: only the other run has it."""
    after: str | None
    facts: tuple[Change, ...] = ()
    """Status, command, error and the like."""
    params: tuple[Change, ...] = ()
    inputs: tuple[ContentChange, ...] = ()
    outputs: tuple[ContentChange, ...] = ()
    metrics: tuple[Change, ...] = ()
    values: tuple[Change, ...] = ()

    @property
    def is_same(self) -> bool:
        """True if nothing of it differs."""
        parts: tuple[Sequence[Change | ContentChange], ...] = (
            self.facts,
            self.params,
            self.inputs,
            self.outputs,
            self.metrics,
            self.values,
        )
        is_paired = self.before == self.after
        return is_paired and all(each.is_same for part in parts for each in part)


@valueclass
class EnvironmentDifference:
    """What the environment of some steps was made of, in both runs."""

    steps: tuple[str, ...]
    backends: tuple[str, str]
    packages: tuple[Change, ...]
    """By kind and name, with their versions."""
    is_known: bool = True
    """False: the lock of one was not recorded."""


@valueclass
class RunDifference:
    """All of it; everything that both runs have is there, also what is the same."""

    before: RecordedRun
    after: RecordedRun
    facts: tuple[Change, ...]
    params: tuple[Change, ...]
    environments: tuple[EnvironmentDifference, ...]
    """Only those that differ."""
    steps: tuple[StepDifference, ...] = field(default=())

    @property
    def is_same(self) -> bool:
        """True if nothing differs."""
        facts = all(each.is_same for each in (*self.facts, *self.params))
        return facts and not self.environments and all(step.is_same for step in self.steps)
