"""Parts of a plan: up to a step, from a step on, and the steps that must run in any case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from flowrun.errors import PlanError
from flowrun.plan.plan import FanOut, Plan, PlannedStep
from flowrun.spec.problems import did_you_mean, listed
from flowrun.valueclass import valueclass


@valueclass
class Selection:
    """What was asked for, by steps' names or ids."""

    until: str | None = None
    """This step and all it needs; nothing else."""
    start: str | None = None
    """This step and all that needs it must run; before it only what they need."""
    rerun: tuple[str, ...] = ()
    """These must run; what needs them runs if they give something else than before."""


@valueclass
class Selected:
    """The steps of a selection."""

    plan: Plan
    rerun: frozenset[str]
    """Ids of the steps that must run whatever there is."""


def select_steps(plan: Plan, selection: Selection) -> Selected:
    """Return the part of a plan that was asked for.

    Raises:
        PlanError: there is no such step; with a suggestion.
    """
    ids = _Names(plan.steps)
    later = {name for name in selection.rerun if ids.may_come(name)}
    named = (name for name in selection.rerun if name not in later)
    rerun = {step_id for name in named for step_id in ids.of(name, "--rerun")}
    kept = {step.id for step in plan.steps}
    if selection.start is not None:
        after = _dependents(plan.steps, ids.of(selection.start, "--from"))
        rerun |= after
        kept = _ancestors(plan.steps, after)
    if selection.until is not None:
        kept &= _ancestors(plan.steps, ids.of(selection.until, "--until"))
    kept |= {
        step.action.end
        for step in plan.steps
        if isinstance(step.action, FanOut) and step.id in kept
    }
    if not kept:
        raise PlanError(
            f"--from {selection.start} --until {selection.until}: no step is both after the one "
            "and before the other"
        )
    steps = tuple(_alone(step, kept) for step in plan.steps if step.id in kept)
    return Selected(replace(plan, steps=steps), frozenset((rerun & kept) | later))


class _Names:
    """What people call steps: an id, the name of a matrix step or of a step that is a pipeline."""

    def __init__(self, steps: Sequence[PlannedStep]) -> None:
        self._ids: dict[str, list[str]] = {}
        for step in steps:
            path = step.id.split("/")
            for depth in range(1, len(path) + 1):
                here = "/".join(path[:depth])
                for name in {here, here.partition("[")[0] if "[" in here else here}:
                    self._ids.setdefault(name, []).append(step.id)

    def may_come(self, name: str) -> bool:
        """Return whether a name may be that of an instance that is not decided yet."""
        begin, bracket, _ = name.rpartition("[")
        is_known = name in self._ids
        return bool(bracket) and name.endswith("]") and not is_known and f"{begin}[*]" in self._ids

    def of(self, name: str, flag: str) -> frozenset[str]:
        found = self._ids.get(name)
        if found is None:
            there_are = listed(sorted(self._ids))
            raise PlanError(
                f"{flag} {name}: the plan has no step '{name}'; there are: {there_are}."
                f"{did_you_mean(name, self._ids)}"
            )
        return frozenset(found)


def _ancestors(steps: Sequence[PlannedStep], of: Collection[str]) -> set[str]:
    """Return steps with all they need; plans are in an order in which needs come first."""
    found = set(of)
    for step in reversed(steps):
        if step.id in found:
            found.update(step.needs)
    return found


def _dependents(steps: Iterable[PlannedStep], of: Collection[str]) -> set[str]:
    found = set(of)
    for step in steps:
        if not found.isdisjoint(step.needs):
            found.add(step.id)
    return found


def _alone(step: PlannedStep, kept: Collection[str]) -> PlannedStep:
    """Return a step that does not belong to a pipeline whose end is left out."""
    return step if not step.caller or step.caller in kept else replace(step, caller="")
