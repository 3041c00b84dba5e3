"""`resume`: goes on with a recorded run that did not end well, or did not end at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace

from flowrun.api import memory_bytes, open_default_stores, plan_recorded, processors, texts_of
from flowrun.engine.events import Observer
from flowrun.engine.record.live import ABANDONED, SESSION_TAG, Session, close_left_running
from flowrun.engine.record.options_file import parse_options
from flowrun.engine.request import Releasing, RunOptions
from flowrun.engine.run_outcome import RunOutcome
from flowrun.engine.services import Home
from flowrun.engine.steps.gpus import gpus_of
from flowrun.errors import NotRepeatableError
from flowrun.executors.local import SupervisorProcess
from flowrun.plan.sweep import Swept
from flowrun.proof.again import Again
from flowrun.proof.inputs import ChangedInputsError, changed_error
from flowrun.proof.left import check_params, check_resumable, envs_of, resumed, steps_of
from flowrun.proof.reading import RunReader
from flowrun.settings import Settings, load_settings
from flowrun.sources.source import silent
from flowrun.stores import Stores, now_ms
from flowrun.surroundings import SilentObserver, Surroundings, close_killed
from flowrun.tracking.entities import Run, RunStatus

START_ANEW = "Put it back as it was, or start anew: `flowrun run` reuses what is unchanged."


def resume(
    run_id: str,
    *,
    params: Mapping[str, object] | None = None,
    jobs: int | None = None,
    fail_fast: bool = False,
    docker_args: Mapping[str, str] | None = None,
    wait_approval_s: float | None = None,
    observer: Observer | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunOutcome:
    """Go on with a run after any end of it, and wait for its end: its own run goes on.

    Code, locks, parameters and choices are those that were recorded. Steps that finished are not
    run again, unless what they left is gone, or a step that they need runs again.

    Args:
        run_id: the run's id, its first digits, or `latest`.
        params: those alone that held a secret, which is not recorded.
        jobs: steps at the same time, at most; default: the number of processors.
        fail_fast: stop at the first failed step, also if the run was not to.
        docker_args: as the run was given; they are not taken from a record.
        wait_approval_s: as for `run`.
        observer: told what happens while it happens.
        settings: the surroundings; by default those of this process.
        progress: told what takes time.

    Raises:
        InvalidStateError: it has finished, or is still running.
        NotRepeatableError: its code or an input is gone or has changed.
        FlowrunError: anything else that is wrong before any step runs.
    """
    settings = settings or load_settings()
    with ExitStack() as stack:
        supervisor = stack.enter_context(closing(SupervisorProcess()))
        with open_default_stores(settings) as stores:
            again = recorded_again(run_id, stores, texts_of(params), settings, progress or silent)
        plan = steps_of(again.planned.plan, again.run)
        asked = parse_options(again.run.options)
        options = RunOptions(
            "",
            "",
            run_id=again.run.run_id,
            env_manager=asked.env_manager,
            jobs=jobs or processors(),
            builds=processors(),
            cpus=float(max(processors(), jobs or 1)),
            memory_bytes=memory_bytes(),
            gpus=gpus_of(settings.variables),
            fail_fast=fail_fast or asked.fail_fast,
            docker_args=docker_args or {},
            build_image=again.builds_image,
            envs=envs_of(plan, again.envs),
            inputs=again.fetched_inputs,
            is_cache_on=asked.is_cache_on,
            rerun=asked.rerun,
            resumed=resumed(again.run),
            releasing=Releasing(asked.is_dry_run, wait_approval_s),
        )
        surroundings = Surroundings(settings, supervisor, observer or SilentObserver())
        return surroundings.carry_out(replace(again.planned, plan=plan), options, None, None)


def recorded_again(
    run_id: str,
    stores: Stores,
    params: Mapping[str, str],
    settings: Settings,
    progress: Callable[[str], None],
    swept_of: Callable[[Stores, str], Swept] | None = None,
) -> Again:
    """Plan a run once more, if it can be gone on with.

    Args:
        run_id: its id, its first digits, or `latest`.
        stores: where it is recorded.
        params: those that held a secret.
        settings: the surroundings.
        progress: told what takes time.
        swept_of: gives what a sweep leaves open, by the URI of its run's artifacts.
    """
    close_killed(settings, stores)
    reader = RunReader(stores)
    found = reader.find(run_id)
    check_resumable(found, now_ms(), Home(settings.home).live)
    _close_lost(found, stores)
    run = reader.read(found.info.run_id)
    check_params(run, params)
    try:
        swept = swept_of(stores, run.artifact_uri) if swept_of else None
        again = plan_recorded(run, stores, params, settings, progress, swept)
        if again.changed_inputs:
            raise changed_error(again.changed_inputs)
    except ChangedInputsError as error:
        raise NotRepeatableError(error.message, START_ANEW) from error
    return again


def _close_lost(run: Run, stores: Stores) -> None:
    """Close what a flowrun left running whose machine is gone."""
    if run.info.status is RunStatus.RUNNING and SESSION_TAG in run.tags:
        session = Session(run.tags[SESSION_TAG], stores.uri, "", "")
        close_left_running(stores.tracking, session, ABANDONED, now_ms())
