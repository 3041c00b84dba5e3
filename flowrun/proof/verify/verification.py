"""A verification from beginning to end: execute again, read back, compare, tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from flowrun.engine.request import GivenEnv, Rehearsal
from flowrun.errors import NotRepeatableError
from flowrun.plan.evaluation import CHAMPION
from flowrun.plan.fan import with_instances
from flowrun.plan.plan import Plan
from flowrun.proof.again import Again
from flowrun.proof.inputs import ChangedInput
from flowrun.proof.reading import RunReader
from flowrun.proof.recorded import RecordedRun
from flowrun.proof.verify.fetch import Outputs
from flowrun.proof.verify.report import Report, StepCheck, Verdict, report_to_json
from flowrun.proof.verify.steps import compare_runs, spread_of
from flowrun.stores import Stores
from flowrun.tracking.entities import RunStatus
from flowrun.valueclass import valueclass

VERDICT_TAG = "flowrun.verify.verdict"
REPORT = "flowrun/verify.json"
FAILED = "it could not be executed"


@valueclass
class Executed:
    """One execution: its run, and how it ended."""

    run_id: str
    is_surroundings: bool = False
    """It failed for its surroundings, not for what it does."""
    is_cancelled: bool = False
    cancelled_by: int | None = None
    detail: str = ""


Execute = Callable[[int], Executed]
"""Executes the plan once more; told how many times it has been before."""


def verify(
    again: Again,
    execute: Execute,
    stores: Stores,
    *,
    repeat: int,
    now: Callable[[], int],
) -> Report:
    """Execute a recorded run again, and compare.

    Args:
        again: the recorded run, planned once more.
        execute: carries the plan out.
        stores: where both are recorded.
        repeat: how often to execute it, at least; a project's own `repeat` goes before less.
        now: milliseconds since the epoch.

    Raises:
        NotRepeatableError: the recorded run has not ended, or was cancelled.
    """
    began_ms = now()
    run = again.run
    if not run.status.is_final:
        raise NotRepeatableError(f"run {run.run_id} has not ended: it is {run.status.value}")
    if run.status is RunStatus.KILLED:
        raise NotRepeatableError(
            f"run {run.run_id} was cancelled: there is nothing whole to compare with",
            f"To run it again: flowrun run runs:/{run.run_id}",
        )
    empty = _empty_report(again, began_ms)
    if again.changed_inputs:
        steps = _changed_steps(again.planned.plan, again.changed_inputs)
        return replace(empty, verdict=Verdict.DIFFERENT, steps=steps, duration_ms=now() - began_ms)
    found: list[RecordedRun] = []
    reader = RunReader(stores)
    for number in range(max(repeat, repeats_of(again.planned.plan))):
        done = execute(number)
        if done.run_id:
            found.append(reader.read(done.run_id))
        if done.is_cancelled or done.is_surroundings or not done.run_id:
            return replace(
                empty,
                run_ids=tuple(each.run_id for each in found),
                problem="it was cancelled" if done.is_cancelled else done.detail or FAILED,
                cancelled_by=done.cancelled_by,
                duration_ms=now() - began_ms,
            )
    outputs = Outputs(stores)
    steps = _compared(again, found, outputs)
    is_different = any(step.verdict is Verdict.DIFFERENT for step in steps)
    return replace(
        empty,
        verdict=Verdict.DIFFERENT if is_different else Verdict.SAME,
        run_ids=tuple(each.run_id for each in found),
        steps=steps,
        duration_ms=now() - began_ms,
    )


def keep(report: Report, stores: Stores) -> None:
    """Keep a report with the verification's last run."""
    if not report.run_ids:
        return
    run_id = report.run_ids[-1]
    run = stores.tracking.get_run(run_id)
    text = json.dumps(report_to_json(report), indent=1)
    stores.open_artifacts(run.info.artifact_uri).put_bytes(REPORT, text.encode())
    stores.tracking.log_batch(run_id, tags={VERDICT_TAG: report.verdict.value})


def repeats_of(plan: Plan) -> int:
    """Give how often the steps of a plan ask to be executed."""
    asked = (step.metric_tolerance for step in plan.looks)
    return max((each.repeat for each in asked if each is not None), default=1)


def rehearsal_of(run: RecordedRun) -> Rehearsal:
    """Give how a run's steps on the model registry ended, to be acted again."""
    registering = (step for step in run.steps if step.kind == "register")
    return Rehearsal(
        {step_id: outcome.status for step_id, outcome in run.outcomes.items()},
        {step.id: step.values["version"] for step in registering if "version" in step.values},
        {step.id: step.params[CHAMPION] for step in run.steps if CHAMPION in step.params},
    )


def unlocked(envs: Mapping[str, GivenEnv]) -> dict[str, GivenEnv]:
    """Give the same managers, to resolve anew."""
    return {step_id: replace(env, lock=None) for step_id, env in envs.items()}


def _compared(
    again: Again, found: Sequence[RecordedRun], outputs: Outputs
) -> tuple[StepCheck, ...]:
    ids = [step.id for run in (again.run, *found) for step in run.steps]
    plan = with_instances(again.planned.plan, ids)
    spread = spread_of(found)
    steps = compare_runs(again.run, found[0], plan, outputs, spread)
    if len(found) == 1:
        return steps
    varying: set[str] = set()
    for other in found[1:]:
        between = compare_runs(found[0], other, plan, outputs, spread)
        varying |= {step.step_id for step in between if step.is_own}
    return tuple(_with_variation(step, varying, len(found), spread) for step in steps)


def _with_variation(
    step: StepCheck,
    varying: set[str],
    count: int,
    spread: Mapping[tuple[str, str], tuple[float, float]],
) -> StepCheck:
    """Say what repetition has shown of a step."""
    notes = [
        f"metric '{key}' lay between {least!r} and {greatest!r} in {count} executions"
        for (step_id, key), (least, greatest) in spread.items()
        if step_id == step.step_id and least != greatest
    ]
    if not step.is_own:
        return replace(step, notes=(*step.notes, *notes))
    measured = (
        f"measured: {count} executions differ among themselves as well"
        if step.step_id in varying
        else f"measured: {count} executions agree with each other, and not with the recorded one"
    )
    return replace(step, causes=(*step.causes, measured), notes=(*step.notes, *notes))


def _changed_steps(plan: Plan, changed: Sequence[ChangedInput]) -> tuple[StepCheck, ...]:
    """Nothing was executed: the steps with changed inputs, and no word on the others."""
    by_step: dict[str, list[str]] = {}
    for each in changed:
        by_step.setdefault(each.step_id, []).append(
            f"its input '{each.name}' ({each.recorded.uri}) has changed: sha256 "
            f"{each.recorded.sha256[:12]}... then, {(each.found_sha256 or 'gone')[:12]}... now"
        )
    return tuple(
        StepCheck(step.id, Verdict.DIFFERENT, causes=tuple(by_step[step.id]))
        if step.id in by_step
        else StepCheck(step.id, Verdict.NOT_COMPARED)
        for step in plan.steps
    )


def _empty_report(again: Again, began_ms: int) -> Report:
    run = again.run
    return Report(
        verdict=Verdict.UNDONE,
        recorded_run_id=run.run_id,
        name=run.name,
        entry_point=run.entry_point,
        uri=run.source.uri,
        commit=run.source.commit,
        tree=run.source.tree,
        lacking=again.lacking,
        start_time_ms=began_ms,
    )
