"""The order of a plan's steps, and what each looks back at."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from flowrun.plan.plan import Gate, PlannedStep


def in_order(
    steps: Sequence[PlannedStep], known: Mapping[str, PlannedStep] | None = None
) -> tuple[PlannedStep, ...]:
    """Return the steps so that each comes after all it needs, else in the order they are in.

    Each step's needs come out in that order too, and its gates complete.

    Args:
        known: other steps, by id, that these may need as well; all of those come before them.
    """
    position = {step.id: place for place, step in enumerate(steps)}
    waiting = [0] * len(steps)
    dependents: list[list[int]] = [[] for _ in steps]
    for place, step in enumerate(steps):
        for need in step.needs:
            if (before := position.get(need)) is not None:
                waiting[place] += 1
                dependents[before].append(place)
    free = [place for place, count in enumerate(waiting) if count == 0]
    ordered: list[PlannedStep] = []
    while free:
        place = heapq.heappop(free)
        ordered.append(steps[place])
        for dependent in dependents[place]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                heapq.heappush(free, dependent)
    # The checks of the project file have refused every circle.
    assert len(ordered) == len(steps)  # noqa: S101
    return _complete(ordered, known or {})


def _complete(
    steps: Sequence[PlannedStep], known: Mapping[str, PlannedStep]
) -> tuple[PlannedStep, ...]:
    position = {step.id: place for place, step in enumerate(steps)}
    by_id = {**known, **{step.id: step for step in steps}}
    tolerated = frozenset(step.id for step in by_id.values() if step.continue_on_error)
    return tuple(_completed(step, position, by_id, tolerated) for step in steps)


def _completed(
    step: PlannedStep,
    position: Mapping[str, int],
    by_id: Mapping[str, PlannedStep],
    tolerated: frozenset[str],
) -> PlannedStep:
    needs = tuple(sorted(step.needs, key=lambda need: position.get(need, -1)))
    gates = tuple(_with_outlook(gate, step, by_id, tolerated) for gate in step.gates)
    if needs == step.needs and gates == step.gates:
        return step
    return replace(step, needs=needs, gates=gates)


def _with_outlook(
    gate: Gate,
    step: PlannedStep,
    by_id: Mapping[str, PlannedStep],
    tolerated: frozenset[str],
) -> Gate:
    # The steps inside a nested pipeline are looked at by its end, through its last gate.
    if not tolerated and not gate.looks_at_status:
        return gate
    near = tolerated.intersection((*gate.needs, *step.needs))
    watched = _watched(gate, step, by_id) if gate.looks_at_status else ()
    return replace(gate, tolerated=near, watched=watched) if near or watched else gate


def _watched(gate: Gate, step: PlannedStep, by_id: Mapping[str, PlannedStep]) -> tuple[str, ...]:
    """Return every step before the gate, near and far, whose failure counts for the step."""
    seen: dict[str, None] = {}
    open_ids = list(gate.needs)
    while open_ids:
        step_id = open_ids.pop()
        if step_id not in seen:
            seen[step_id] = None
            open_ids += by_id[step_id].needs
    around = set(_callers(step, by_id))
    return tuple(step_id for step_id in seen if _counts(by_id[step_id], around, by_id))


def _callers(step: PlannedStep, by_id: Mapping[str, PlannedStep]) -> Iterator[str]:
    while step.caller:
        yield step.caller
        step = by_id[step.caller]


def _counts(step: PlannedStep, around: set[str], by_id: Mapping[str, PlannedStep]) -> bool:
    """Return whether a failure counts outside the pipelines it is in, up to those in `around`."""
    if step.continue_on_error:
        return False
    inner = (caller for caller in _callers(step, by_id) if caller not in around)
    return not any(by_id[caller].continue_on_error for caller in inner)
