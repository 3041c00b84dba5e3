"""What is left to do of a recorded run, and whether it can be gone on with at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from flowrun.engine.masking import MASK
from flowrun.engine.record.live import SESSION_TAG
from flowrun.engine.record.pulse import is_gone, place_of
from flowrun.engine.record.recorder import PENDING_TAG
from flowrun.engine.request import GivenEnv, Resumed
from flowrun.errors import InvalidStateError, UsageError
from flowrun.plan.fan import with_instances
from flowrun.plan.plan import Plan, PlannedStep
from flowrun.proof.reading import VERIFIES_TAG, planned_ids
from flowrun.proof.recorded import RecordedRun, RecordedStep
from flowrun.spec.project import EnvSpec
from flowrun.tracking.entities import Run, RunStatus


def check_resumable(run: Run, now_ms: int, live: Path) -> None:
    """Refuse a run that is over and done with, or that somebody carries out at this moment.

    Args:
        run: as it is in the store, after what killed flowruns of this machine left was closed.
        now_ms: the time.
        live: the folder of this home's sessions.

    Raises:
        InvalidStateError: it is. UsageError: it is a run of a verification.
    """
    run_id, status = run.info.run_id, run.info.status
    if VERIFIES_TAG in run.tags:
        raise UsageError(f"run {run_id} is a part of a verification", "Verify once more instead.")
    if status is RunStatus.FINISHED and PENDING_TAG not in run.tags:
        raise InvalidStateError(
            f"run {run_id} is FINISHED: there is nothing left to do",
            f"To run all of it again: flowrun run runs:/{run_id}",
        )
    if status is RunStatus.RUNNING and SESSION_TAG in run.tags and not is_gone(run, now_ms, live):
        raise InvalidStateError(
            f"run {run_id} is still running, on {place_of(run)}",
            f"To see it: flowrun runs show {run_id} --watch; to end it: flowrun runs cancel "
            f"{run_id}. A machine that is gone is believed to be after 2.5 minutes.",
        )


def check_params(run: RecordedRun, params: Mapping[str, str]) -> None:
    """Refuse parameters but those whose recorded values are masked.

    Raises:
        UsageError: another one is given.
    """
    for name in params:
        if MASK not in run.params.get(name, ""):
            raise UsageError(
                f"-P {name}: run {run.run_id} is gone on with as it began; only a parameter that "
                "held a secret can be given, since that is not recorded",
                f"To change one: flowrun run runs:/{run.run_id} -P {name}=...",
            )


def resumed(run: RecordedRun) -> Resumed:
    """Give what a run has already."""
    finished = {step.id: step.run_id for step in run.steps if run.is_pipeline and _is_whole(step)}
    return Resumed(finished, run.attempts)


def steps_of(plan: Plan, run: RecordedRun) -> Plan:
    """Give a plan with those steps alone that the run was to have (`--until` leaves some out)."""
    known = set(planned_ids(run.plan))
    if not known:
        return plan
    return replace(plan, steps=tuple(step for step in plan.steps if step.id in known))


def envs_of(plan: Plan, recorded: Mapping[str, GivenEnv]) -> dict[str, GivenEnv]:
    """Give the environments of steps, those that never began like others of the same kind."""
    return {**dict(_shared(plan, recorded)), **recorded}


def _shared(plan: Plan, recorded: Mapping[str, GivenEnv]) -> Iterator[tuple[str, GivenEnv]]:
    steps = list(with_instances(plan, recorded).looks)
    known = {_kind(step): recorded[step.id] for step in steps if step.id in recorded}
    for step in steps:
        given = known.get(_kind(step))
        if given is not None and step.env is not None:
            yield step.id, given


def _kind(step: PlannedStep) -> tuple[str, EnvSpec | None]:
    return step.project, replace(step.env, mark=None) if step.env else None


def _is_whole(step: RecordedStep) -> bool:
    """Whether a step is over: a command's own client may have ended its run before it was."""
    is_over = step.kind != "command" or step.exit_code == 0
    return step.status is RunStatus.FINISHED and is_over and not step.is_undone
