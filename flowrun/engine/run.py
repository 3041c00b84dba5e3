"""Carries out a plan: takes an event, asks the schedule, does the actions.

The schedule decides, in one thread; each running step has a thread of its own, which carries the
step out from beginning to end and puts what came of it into the inbox. A signal handler may put a
cancellation there as well.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from flowrun.engine.attempts import Attempts
from flowrun.engine.cache.foresight import foresee_added, foresee_steps
from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.cache.reuse import Reuse, open_reuse
from flowrun.engine.cache.standing import Standing
from flowrun.engine.cache.temporary import TemporaryOutputs
from flowrun.engine.course import Course, is_end, is_in
from flowrun.engine.environments import Environments
from flowrun.engine.events import (
    CancelBegan,
    Event,
    Observer,
    PlanGrew,
    RunBegan,
    RunEnded,
    StepBegan,
    StepEnded,
    StepPrinted,
    StepStatus,
)
from flowrun.engine.exit_codes import exit_code_of
from flowrun.engine.inbox import Broken, Cancel, Done, Grown, Inbox, PauseOver, Prepared, Prune
from flowrun.engine.masking import Masker
from flowrun.engine.record.journal import Journal
from flowrun.engine.record.live import Session, SessionFile, close_left_running, this_host
from flowrun.engine.record.pulse import Pulse
from flowrun.engine.record.recorder import PENDING_TAG, Recorder
from flowrun.engine.request import RunRequest
from flowrun.engine.run_outcome import RunOutcome
from flowrun.engine.services import Services
from flowrun.engine.steps.command import CommandRunner
from flowrun.engine.steps.container import ContainerMaker
from flowrun.engine.steps.fanning import Fans
from flowrun.engine.steps.fetch import Fetcher
from flowrun.engine.steps.gpus import Gpus
from flowrun.engine.steps.items import ItemFinder
from flowrun.engine.steps.step import StepOutcome, StepRunner, reused_outcome
from flowrun.engine.sweeps.trial_runs import TrialRuns
from flowrun.errors import FlowrunError
from flowrun.executors.base import Executor, Stream
from flowrun.plan.fan import Growth, grown
from flowrun.plan.plan import PlannedStep
from flowrun.plan.schedule import (
    Action,
    Begin,
    CancelRequested,
    CancelStep,
    Finish,
    GiveUpStep,
    PauseEnded,
    PauseStep,
    Schedule,
    SkipStep,
    StartStep,
    StepDeclined,
    StepFailed,
    StepKilled,
    StepsAdded,
    StepsPrepared,
    StepSucceeded,
)
from flowrun.sources.copies import remove
from flowrun.spec.project import EnvKind
from flowrun.tracking.entities import Run, RunStatus


class PlanRun:
    """One run of one plan."""

    def __init__(self, request: RunRequest, services: Services, observer: Observer) -> None:
        self._request = request
        self._services = services
        self._observer = observer
        self._tell_lock = threading.Lock()
        self._inbox = Inbox()
        self._course = Course(request.plan.steps, services.now)
        self._attempts = Attempts(
            request.options.resumed.attempts if request.options.resumed else {},
            time.monotonic,
            lambda: int(services.new_id()[:8], 16) / 2**32,
        )
        self._starts = 0
        self._standing = Standing()
        self._threads: dict[str, threading.Thread] = {}
        """Of the steps that run now."""
        self._sweep = request.options.sweep
        self._stopped: set[str] = set()
        """The steps that are to end, while the others go on."""
        self._cancels = 0
        self._cancelled_by: int | None = None
        self._has_failed_surroundings = False
        session_id = services.new_id()
        self._work = services.home.work / session_id
        has_containers = any(
            step.env is not None and step.env.kind is EnvKind.DOCKER for step in request.plan.looks
        )
        self._session = Session(
            id=session_id,
            tracking_uri=services.tracking_uri,
            work=str(self._work),
            host=this_host(),
            pid=os.getpid(),
            docker_host=services.variables.get("DOCKER_HOST", "") if has_containers else None,
        )
        self._secrets = frozenset(name for step in request.plan.looks for name in step.secrets)
        secrets = [services.variables[name] for name in self._secrets]
        self._mask = Masker.of([*secrets, *services.endpoint.secrets])
        self._recorder = Recorder(services, request, self._session, self._mask)
        self._journal = Journal(request.plan.steps, self._recorder.put_outcome, services.now)
        self._pulse = Pulse(services.tracking, session_id, self._cancel_from_afar, services.now)
        self._temporary = TemporaryOutputs(services, request, self._tell)
        self._trial_runs = TrialRuns(self._recorder, lambda: self._course.steps, self._tell)
        self._recorder.over = self._trial_runs.over
        self._memo = DigestMemo(services.home.digests, is_cancelled=lambda: self._cancels > 0)
        self._environments = Environments(services, request, self._tell, lambda: self._cancels > 0)

    def cancel(self, signal_number: int | None = None) -> None:
        """End the run: the first call asks its steps to end, the second kills them.

        May be called from a signal handler, with the number of the signal.
        """
        self._cancels += 1
        self._cancelled_by = self._cancelled_by or signal_number
        self._inbox.put(Cancel(is_forced=self._cancels > 1))

    def _cancel_from_afar(self, is_forced: bool, by: str) -> None:  # noqa: FBT001 - a callback
        self._cancels += 2 if is_forced else 1
        self._inbox.put(Cancel(is_forced=self._cancels > 1, by=by))

    def carry_out(self) -> RunOutcome:
        """Carry the plan out to its end; every run is final when this returns."""
        file = SessionFile(self._services.home.live, self._session)
        is_closed = False
        try:
            outcome = self._carry_out()
            is_closed = True
        finally:
            remove(self._work)
            is_closed = self._close_left(is_closed=is_closed)
            file.close(keep=not is_closed)
        return outcome

    def _carry_out(self) -> RunOutcome:
        began_ms = self._services.now()
        self._work.mkdir(mode=0o700, parents=True)
        run = self._recorder.begin_pipeline() if self._request.plan.is_pipeline else None
        self._announce(run)
        if run is not None:
            self._journal.begin()
            self._pulse.begin(run.info.run_id)
        executor = self._services.make_executor(self._printed)
        try:
            status = self._loop(executor)
        except BaseException:
            self._cancels += 1  # a bug: nothing more may begin
            if self._sweep is not None:
                self._sweep.give_up()
            raise
        finally:
            self._pulse.close()
            self._environments.close()
            executor.close()
            self._memo.close()
            for thread in self._threads.values():
                thread.join()
            self._temporary.close()
            self._journal.close()
        self._trial_runs.close()
        run_id = self._finish_pipeline(status)
        duration_ms = self._course.since(began_ms)
        self._tell(RunEnded(run_id, status, duration_ms, self._course.counts()))
        return RunOutcome(
            run_id,
            status,
            self._course.ended,
            duration_ms,
            self._course.versions(),
            self._has_failed_surroundings,
            self._cancelled_by,
            self._course.pending(),
        )

    def _loop(self, executor: Executor) -> RunStatus:
        options = self._request.options
        reuse = self._reuse()
        with suppress(FlowrunError):  # then the store is asked again in each step's turn
            foresee_steps(reuse)
        self._environments.leave_out(
            {id_ for id_, foreseen in reuse.foreseen.items() if foreseen.reused}
        )
        schedule = Schedule(
            self._request.plan.steps,
            slots=options.jobs,
            cpus=options.cpus,
            memory_bytes=options.memory_bytes,
            gpus=len(options.gpus),
            fail_fast=options.fail_fast,
            unprepared=self._environments.awaited_by,
        )
        runner = self._runner(executor, reuse)
        self._environments.begin(lambda step_ids: self._inbox.put(Prepared(step_ids)))
        status = self._act(schedule.on(Begin()), schedule, runner)
        while status is None:
            match self._inbox.next(self._attempts):
                case Done(step_id, outcome):
                    del self._threads[step_id]
                    status = self._act(self._take(step_id, outcome, schedule), schedule, runner)
                case Prepared(step_ids):
                    status = self._act(schedule.on(StepsPrepared(step_ids)), schedule, runner)
                case Grown(growth):
                    status = self._act(self._grow(growth, schedule), schedule, runner)
                case Prune(trial_id):
                    for step_id in list(self._threads):
                        if is_in(step_id, trial_id):
                            self._stop(step_id, runner)
                case PauseOver(step_id):
                    status = self._act(schedule.on(PauseEnded(step_id)), schedule, runner)
                case Cancel(is_forced, by):
                    self._tell(CancelBegan(is_forced, by))
                    if self._sweep is not None:
                        self._sweep.stop()
                    for step_id in self._threads:
                        run_id = self._course.run_id_of(step_id)
                        if run_id is not None:  # else it looks whether it is cancelled
                            executor.cancel(run_id, force=is_forced)
                    status = self._act(schedule.on(CancelRequested()), schedule, runner)
                case Broken(error):
                    raise error
                case other:
                    assert_never(other)
        return status

    def _runner(self, executor: Executor, reuse: Reuse) -> StepRunner:
        commands = CommandRunner(
            self._services,
            self._request,
            self._recorder,
            executor,
            self._secrets,
            self._mask,
            self._tell,
            lambda step_id: self._cancels > 0 or step_id in self._stopped,
            self._environments,
            ContainerMaker(self._services, self._session.id, self._request.options.docker_args),
            reuse,
            Gpus(self._request.options.gpus),
        )
        fetcher = Fetcher(self._services, lambda _: None)
        fans = Fans(
            ItemFinder(fetcher, self._memo),
            reuse,
            lambda: dict(self._course.steps),
            lambda growth: self._inbox.put(Grown(growth)),
            lambda fan: self._carry_out_trials(fan, reuse),
        )
        return StepRunner(
            self._services,
            self._recorder,
            commands,
            self._tell,
            self._mask,
            fans,
            self._trial_runs.take,
            reuse.visible_variables,
            self._request.options.rehearsal,
            self._request.options.releasing,
        )

    def _reuse(self) -> Reuse:
        services, variables = self._services, self._services.variables
        visible = {key: value for key, value in variables.items() if key not in self._secrets}
        return open_reuse(
            services,
            self._request,
            self._environments,
            self._mask,
            self._memo,
            visible,
            self._session.id,
        )

    def _act(
        self, actions: list[Action], schedule: Schedule, runner: StepRunner
    ) -> RunStatus | None:
        """Do what the schedule says; give the run's status once that is `Finish`.

        A step for which a finished run stands is over at once, without a thread.
        """
        status: RunStatus | None = None
        undone = deque(actions)
        while undone:
            match undone.popleft():
                case StartStep(step_id, attempt):
                    step = self._course.steps[step_id]
                    self._course.turn_came(step)
                    reused = self._standing.of(step, runner.commands.reuse, self._course.results)
                    if reused is None:
                        self._start(step, attempt, runner)
                    else:
                        undone += self._take(step_id, reused_outcome(reused), schedule)
                case SkipStep(step_id, reason):
                    self._end(self._course.skipped(step_id, reason))
                case GiveUpStep(step_id):
                    self._end(self._attempts.give_up(step_id))
                case CancelStep(step_id):
                    self._stop(step_id, runner)
                case PauseStep():
                    pass  # it has begun
                case Finish(end):
                    status = RunStatus(end)
                case action:
                    assert_never(action)
        return status

    def _grow(self, growth: Growth, schedule: Schedule) -> list[Action]:
        """Take in the steps that came."""
        self._temporary.grow((*growth.steps, growth.end))
        self._tell(PlanGrew(self._course.grow(growth)))
        return schedule.on(StepsAdded(growth))

    def _stop(self, step_id: str, runner: StepRunner) -> None:
        """Ask one running step to end; with a cancellation, all were asked already."""
        self._stopped.add(step_id)
        run_id = self._course.run_id_of(step_id)
        if self._cancels == 0 and step_id in self._threads and run_id is not None:
            runner.commands.executor.cancel(run_id)

    def _start(self, step: PlannedStep, attempt: int, runner: StepRunner) -> None:
        self._starts += 1
        work = self._work / str(self._starts)
        results = self._course.results
        number = self._attempts.number(step.id, attempt)
        sized = replace(step, resources=step.resources.at(attempt)) if attempt > 1 else step

        def carry_out() -> None:
            try:
                self._inbox.put(Done(step.id, runner.run(sized, results, work, number)))
            except BaseException as error:  # noqa: BLE001 - a bug must reach the main thread
                self._inbox.put(Broken(error))

        thread = threading.Thread(target=carry_out, name=f"flowrun-{step.id}", daemon=True)
        self._threads[step.id] = thread
        thread.start()

    def _take(self, step_id: str, outcome: StepOutcome, schedule: Schedule) -> list[Action]:
        """Note how an attempt at a step ended, tell it, and give what is to be done now."""
        step, ended = self._course.steps[step_id], self._course.attempt_ended(step_id, outcome)
        self._has_failed_surroundings |= outcome.is_surroundings
        if outcome.status is StepStatus.SKIPPED or outcome.reused_from is not None:
            self._standing.did_not_run(step_id)
        if outcome.status in {StepStatus.SUCCEEDED, StepStatus.SKIPPED}:
            self._temporary.done(step_id, self._course.results)
        actions = schedule.on(_event_of(step_id, outcome))
        match actions:
            case _ if is_end(step) and outcome.status is StepStatus.SUCCEEDED:
                pass  # nothing to look at
            case [PauseStep(paused, attempt), *_] if paused == step_id:
                self._tell(self._attempts.pause(step, attempt, ended))
            case _:
                self._end(self._attempts.complete(ended))
        return actions

    def _end(self, ended: StepEnded) -> None:
        self._course.ended[ended.step_id] = ended
        self._tell(ended)
        if self._sweep is not None:
            self._sweep.ended(ended)

    def _carry_out_trials(self, fan: PlannedStep, reuse: Reuse) -> str:
        """Carry out the trials of a sweep, in the thread of the step that says which there are."""
        sweep = self._sweep
        assert sweep is not None  # noqa: S101 - given with such a plan

        def add(growth: Growth) -> None:
            foresee_added(reuse, growth.steps, self._course.results)
            self._inbox.put(Grown(growth))

        return sweep.carry_out(
            fan,
            lambda: dict(self._course.steps),
            add,
            self._points,
            lambda step_id: self._inbox.put(Prune(step_id)),
            self._recorder,
        )

    def _points(self, trial_id: str, metric: str) -> list[tuple[int, float]]:
        """Give what the steps of a trial have logged of a metric so far."""
        found: list[tuple[int, float]] = []
        for run_id in self._course.run_ids_in(trial_id):
            history = self._services.tracking.get_metric_history(run_id, metric).items
            found += [(point.step, point.value) for point in history]
        return sorted(found)

    def _finish_pipeline(self, status: RunStatus) -> str:
        """Make the parent run final; give the id of the run that stands for the whole."""
        parent_id = self._recorder.parent_run_id
        if parent_id is None:
            return self._course.first_run_id()
        if self._pulse.is_taken_over:
            return parent_id
        if self._course.growths:
            self._recorder.put_plan(grown(self._request.plan, self._course.growths))
        self._recorder.put_outcome(self._journal.rows())
        is_surroundings = self._has_failed_surroundings
        pending = self._course.pending()
        code = exit_code_of(
            status,
            self._cancelled_by,
            is_surroundings=is_surroundings,
            is_pending=bool(pending),
        )
        if pending:
            self._recorder.note_pipeline({PENDING_TAG: "; ".join(pending)})
        self._recorder.end_pipeline(status, self._course.error(), code)
        return parent_id

    def _close_left(self, *, is_closed: bool) -> bool:
        """Close what a step's own client, or a failure of flowrun's, left RUNNING."""
        may_be_open = self._services.endpoint.was_used or self._has_failed_surroundings
        if is_closed and not may_be_open:
            return True
        reason = "its step ended before it did"
        try:
            close_left_running(self._services.tracking, self._session, reason, self._services.now())
        except FlowrunError:
            return False
        return True

    def _announce(self, run: Run | None) -> None:
        source = self._request.projects[""].source
        name = self._request.options.experiment_name
        run_id = run.info.run_id if run else None
        run_name = run.info.run_name if run else self._request.options.run_name
        self._tell(RunBegan(run_id, run_name, name, self._request.plan, source))

    def _printed(self, job_id: str, stream: Stream, line: str) -> None:
        self._tell(StepPrinted(self._course.step_id_of(job_id), stream, line))

    def _tell(self, event: Event) -> None:
        with self._tell_lock:
            if isinstance(event, StepBegan):
                self._course.run_began(event)
                if not self._request.plan.is_pipeline:
                    self._pulse.begin(event.run_id)
            self._journal.on(event)
            self._observer.on(event)


def _event_of(
    step_id: str, outcome: StepOutcome
) -> StepSucceeded | StepFailed | StepKilled | StepDeclined:
    """Give the schedule's word for how a step ended."""
    match outcome.status:
        case StepStatus.SUCCEEDED:
            return StepSucceeded(step_id)
        case StepStatus.FAILED:
            return StepFailed(step_id, outcome.causes)
        case StepStatus.KILLED:
            return StepKilled(step_id)
        case StepStatus.SKIPPED | StepStatus.PENDING:
            return StepDeclined(step_id, outcome.detail)
        case _:
            assert_never(outcome.status)
