"""Decides which step starts when: events in, actions out. No clock, no threads, no I/O.

A step goes waiting -> ready -> running -> succeeded, failed, killed or skipped; one that never
runs goes from waiting or ready to skipped; one whose attempt failed may go running -> pausing ->
ready for another. It waits for the steps that it needs, and to be prepared (its environment may
still be built). `Schedule._move` alone changes a state.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import assert_never

from flowrun.plan.attempts import may_try_again
from flowrun.plan.fan import Growth
from flowrun.plan.groups import Groups
from flowrun.plan.plan import CommandAction, Gate, PlannedStep
from flowrun.plan.ready import ReadySteps
from flowrun.spec.project import Resources
from flowrun.valueclass import valueclass


class StepState(StrEnum):
    """How a step stands; the last four are final."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    PAUSING = "pausing"
    """An attempt failed, and another follows when its time has come."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    KILLED = "killed"
    SKIPPED = "skipped"


FINAL = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.KILLED, StepState.SKIPPED})

_MOVES = {
    StepState.WAITING: {StepState.READY, StepState.SKIPPED},
    # FAILED: it was to be tried again, and will not be.
    StepState.READY: {StepState.RUNNING, StepState.SKIPPED, StepState.FAILED},
    StepState.RUNNING: {
        StepState.SUCCEEDED,
        StepState.FAILED,
        StepState.KILLED,
        StepState.SKIPPED,
        StepState.PAUSING,
    },
    StepState.PAUSING: {StepState.READY, StepState.FAILED},
}


class InvalidMoveError(Exception):
    """An event that can't be: a bug of whoever sent it. The message has the step's story."""


@valueclass
class Begin:
    """The first event."""


@valueclass
class StepsPrepared:
    """These steps have all that they need besides other steps."""

    step_ids: tuple[str, ...]


@valueclass
class StepSucceeded:
    """A started step has done what it should."""

    step_id: str


@valueclass
class StepFailed:
    """A started step has not."""

    step_id: str
    causes: frozenset[str] = frozenset()
    """What it failed for, in the words of `retry_on`; none: another attempt changes nothing."""


@valueclass
class PauseEnded:
    """The time of a pausing step has come; too late is no mistake."""

    step_id: str


@valueclass
class StepKilled:
    """A started step was ended from outside."""

    step_id: str


@valueclass
class StepDeclined:
    """A started step did not run: its `if` was false."""

    step_id: str
    reason: str


@valueclass
class StepsAdded:
    """A running step has decided which steps come; more may follow until it ends."""

    growth: Growth


@valueclass
class CancelRequested:
    """Nothing more is to start, and what runs is to end. May come more than once."""


Event = (
    Begin
    | StepsPrepared
    | StepSucceeded
    | StepFailed
    | StepKilled
    | StepDeclined
    | PauseEnded
    | StepsAdded
    | CancelRequested
)


@valueclass
class StartStep:
    """Evaluate the step's `if`; if it holds, run it. Exactly one event about it must follow."""

    step_id: str
    attempt: int = 1


@valueclass
class PauseStep:
    """Wait as long as the step's backoff says, then tell that its pause has ended."""

    step_id: str
    attempt: int
    """The one that failed."""


@valueclass
class GiveUpStep:
    """A pausing step is not tried again: it ended as its last attempt did."""

    step_id: str


@valueclass
class SkipStep:
    """The step will not run."""

    step_id: str
    reason: str


@valueclass
class CancelStep:
    """Make the running step end; its event must still follow."""

    step_id: str


@valueclass
class Finish:
    """Every step has ended. `status` is FINISHED, FAILED or KILLED; the last action there is."""

    status: str


Action = StartStep | PauseStep | GiveUpStep | SkipStep | CancelStep | Finish


class Schedule:
    """The state of one run of a plan.

    Steps start in the order of the plan as soon as what they need has ended, within the slots and
    the resources; one that asks for more than there is counts as asking for all there is. Steps
    that the engine carries out itself (select, register, promote, the end of a nested pipeline)
    take neither.
    """

    def __init__(
        self,
        steps: Sequence[PlannedStep],
        *,
        slots: int,
        cpus: float,
        memory_bytes: int,
        gpus: int = 0,
        fail_fast: bool = False,
        unprepared: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare to run the steps.

        Args:
            steps: in plan order.
            slots: how many commands may run at the same time, at least 1.
            cpus: more than 0.
            memory_bytes: 0 or more; steps that name no memory take none.
            gpus: 0 or more; as with memory.
            fail_fast: start nothing more once a step has failed, but for steps whose `if` asks
                how those before them ended.
            unprepared: steps that don't start before a `StepsPrepared` names them.
        """
        self._steps = list(steps)
        self._position = {step.id: place for place, step in enumerate(steps)}
        self._states = [StepState.WAITING] * len(steps)
        self._waiting_for = [len(step.needs) for step in steps]
        self._dependents: list[list[int]] = [[] for _ in steps]
        for place, step in enumerate(steps):
            for need in step.needs:
                self._dependents[self._position[need]].append(place)
        self._why_skipped: dict[int, str] = {}
        self._stories: dict[int, list[StepState]] = {}
        self._counts = Counter({StepState.WAITING: len(steps)})
        self._ready = ReadySteps(slots, cpus, memory_bytes, gpus)
        self._groups = Groups()
        self._ended_groups: dict[str, str] = {}
        """Of those with `fail_fast`: which member's failure ended the others."""
        self._attempts: dict[int, int] = {}
        """Of the steps that were started more than once: how often."""
        self._unprepared = set(unprepared)
        self._held: list[int] = []
        """What waits for no step any more, but is not prepared."""
        self._fail_fast = fail_fast
        self._stopped_by: str | None = None
        self._is_cancelled = False
        self._has_failed = False
        self._is_finished = False

    def on(self, event: Event) -> list[Action]:
        """Take an event; return what is to be done now, in order.

        Raises:
            InvalidMoveError: the event makes no sense for its step.
        """
        actions: list[Action] = []
        match event:
            case Begin():
                free = [place for place, count in enumerate(self._waiting_for) if count == 0]
                self._decide(free, actions)
            case StepsPrepared(step_ids):
                self._unprepared.difference_update(step_ids)
                self._decide_held(actions)
            case StepSucceeded(step_id):
                self._end(step_id, StepState.SUCCEEDED, actions)
            case StepFailed(step_id, causes):
                if not self._pauses(step_id, causes, actions):
                    self._end(step_id, StepState.FAILED, actions)
            case PauseEnded(step_id):
                self._resume(step_id)
            case StepKilled(step_id):
                self._end(step_id, StepState.KILLED, actions)
            case StepDeclined(step_id, reason):
                self._why_skipped[self._place(step_id)] = reason
                self._end(step_id, StepState.SKIPPED, actions)
            case StepsAdded(growth):
                self._decide(self._add(growth), actions)
            case CancelRequested():
                self._cancel(actions)
            case _:
                assert_never(event)
        while (place := self._groups.next()) is not None:
            self._decide([place], actions)
        self._start_ready(actions)
        self._finish_if_over(actions)
        return actions

    def _add(self, growth: Growth) -> list[int]:
        """Take in what the plan has grown by; return the steps that wait for nothing."""
        if self.state_of(growth.fan_id) is not StepState.RUNNING:
            raise InvalidMoveError(f"step '{growth.fan_id}' does not run, and adds steps")
        first = len(self._steps)
        for step in growth.steps:
            self._position[step.id] = len(self._steps)
            self._steps.append(step)
        added = range(first, len(self._steps))
        self._states += [StepState.WAITING] * len(added)
        self._counts[StepState.WAITING] += len(added)
        self._dependents += [[] for _ in added]
        self._waiting_for += [self._wait_for(place, self._steps[place].needs) for place in added]
        end = self._place(growth.end.id)
        new = growth.end.needs[len(self._steps[end].needs) :]
        self._steps[end] = growth.end
        self._waiting_for[end] += self._wait_for(end, new)
        return [place for place in added if self._waiting_for[place] == 0]

    def _wait_for(self, place: int, needs: Iterable[str]) -> int:
        """Let a step wait for others; return how many of them have not ended."""
        open_needs = [need for need in needs if self.state_of(need) not in FINAL]
        for need in open_needs:
            self._dependents[self._position[need]].append(place)
        return len(open_needs)

    def state_of(self, step_id: str) -> StepState:
        """Return how a step stands."""
        return self._states[self._place(step_id)]

    def count_of(self, state: StepState) -> int:
        """Return how many steps are in a state."""
        return self._counts[state]

    def _pauses(self, step_id: str, causes: frozenset[str], actions: list[Action]) -> bool:
        """Let a step that failed wait for its next attempt, if it may have one."""
        place = self._place(step_id)
        step, attempt = self._steps[place], self._attempts.get(place, 1)
        is_over = self._is_cancelled or self._is_stopped(step)
        if is_over or not may_try_again(step, attempt, causes):
            return False
        self._move(place, StepState.PAUSING)
        self._ready.give_back(self._wanted(place))
        self._attempts[place] = attempt + 1
        actions.append(PauseStep(step_id, attempt))
        return True

    def _resume(self, step_id: str) -> None:
        place = self._place(step_id)
        if self._states[place] is StepState.PAUSING:
            self._move(place, StepState.READY)
            self._ready.add(place, self._wanted(place))

    def _wanted(self, place: int) -> Resources | None:
        """Return what a step takes while it runs; None: the engine carries it out itself."""
        step = self._steps[place]
        if not isinstance(step.action, CommandAction):
            return None
        return step.resources.at(self._attempts.get(place, 1))

    def _end(self, step_id: str, state: StepState, actions: list[Action]) -> None:
        place = self._place(step_id)
        self._move(place, state)
        self._ready.give_back(self._wanted(place))
        self._ended(place, state, actions)

    def _ended(self, place: int, state: StepState, actions: list[Action]) -> None:
        step = self._steps[place]
        self._groups.leave(step)
        if state in {StepState.FAILED, StepState.KILLED} and self._is_counted(step):
            self._has_failed = True
            if self._fail_fast and self._stopped_by is None:
                self._stopped_by = step.id
                self._skip_ready(actions)
                self._give_up(actions)
        if state in {StepState.FAILED, StepState.KILLED} and not step.continue_on_error:
            self._end_groups(step, actions)
        self._decide(self._released([place]), actions)

    def _end_groups(self, step: PlannedStep, actions: list[Action]) -> None:
        """End the other members of the groups that a failed step is a member of."""
        for each in step.members:
            if each.fail_fast and each.member == step.id and each.group not in self._ended_groups:
                self._ended_groups[each.group] = step.id
                self._end_group(each.group, actions)

    def _end_group(self, group: str, actions: list[Action]) -> None:
        self._skip_ready(actions)
        self._give_up(actions)
        for place, step in enumerate(self._steps):
            if not any(each.group == group for each in step.members):
                continue
            if self._states[place] is StepState.RUNNING:
                actions.append(CancelStep(step.id))
            elif self._states[place] is StepState.WAITING and self._is_stopped(step):
                self._skip(place, self._stopped_words(step), actions)
                self._decide(self._released([place]), actions)

    def _released(self, ended: Iterable[int]) -> list[int]:
        """Return the steps that wait for nothing any more, now that these have ended."""
        released = []
        for place in ended:
            for dependent in self._dependents[place]:
                self._waiting_for[dependent] -= 1
                if self._waiting_for[dependent] == 0:
                    released.append(dependent)
        return released

    def _decide(self, free: Iterable[int], actions: list[Action]) -> None:
        """Make each step ready or skip it, and with it, one after the other, what needs it."""
        undecided = deque(free)
        while undecided:
            place = undecided.popleft()
            if self._states[place] is not StepState.WAITING:
                continue  # skipped already, by a cancellation
            step = self._steps[place]
            reason = self._reason_to_skip(step)
            if reason is not None:
                self._skip(place, reason, actions)
                undecided.extend(self._released([place]))
            elif step.id in self._unprepared:
                self._held.append(place)
            elif self._groups.enter(place, step):
                self._move(place, StepState.READY)
                self._ready.add(place, self._wanted(place))

    def _decide_held(self, actions: list[Action]) -> None:
        held, self._held = self._held, []
        self._decide(held, actions)

    def _reason_to_skip(self, step: PlannedStep) -> str | None:
        if self._is_cancelled:
            return "cancelled"
        if self._is_stopped(step):
            return self._stopped_words(step)
        for gate in step.gates:
            if gate.looks_at_status:
                continue  # decided by evaluating it
            for need in gate.needs:
                if not self._is_fine(need, gate):
                    return self._told(need)
        return None

    def _is_stopped(self, step: PlannedStep) -> bool:
        """Return whether the failure of another step forbids this one to start."""
        return self._stopper(step) is not None and not _asks_for_status(step)

    def _stopper(self, step: PlannedStep) -> str | None:
        if self._stopped_by is not None or not self._ended_groups:
            return self._stopped_by
        return next(filter(None, (self._ended_groups.get(m.group) for m in step.members)), None)

    def _stopped_words(self, step: PlannedStep) -> str:
        return f"stopped, because step '{self._stopper(step)}' failed"

    def _is_fine(self, step_id: str, gate: Gate) -> bool:
        state = self._states[self._position[step_id]]
        return state is StepState.SUCCEEDED or (
            state is StepState.FAILED and step_id in gate.tolerated
        )

    def _told(self, step_id: str) -> str:
        """Return the first cause: what a skipped step was skipped for."""
        place = self._position[step_id]
        state = self._states[place]
        if state is StepState.SKIPPED and self._why_skipped[place].startswith("step '"):
            return self._why_skipped[place]
        return f"step '{step_id}' {'was ' * (state is not StepState.FAILED)}{state}"

    def _is_counted(self, step: PlannedStep) -> bool:
        """Return whether a failure of the step is one of the whole run."""
        while not step.continue_on_error:
            if not step.caller:
                return True
            step = self._steps[self._position[step.caller]]
        return False

    def _skip(self, place: int, reason: str, actions: list[Action]) -> None:
        self._move(place, StepState.SKIPPED)
        self._why_skipped[place] = reason
        self._groups.leave(self._steps[place])
        actions.append(SkipStep(self._steps[place].id, reason))

    def _skip_ready(self, actions: list[Action]) -> None:
        for place in self._ready.drain():
            reason = self._reason_to_skip(self._steps[place])
            if reason is None:
                self._ready.add(place, self._wanted(place))
            elif place in self._attempts:
                self._fail(place, actions)
            else:
                self._skip(place, reason, actions)
                self._decide(self._released([place]), actions)
        self._decide_held(actions)

    def _give_up(self, actions: list[Action]) -> None:
        """Let every pausing step have failed that may not start again."""
        for place in list(self._attempts):
            is_pausing = self._states[place] is StepState.PAUSING
            if is_pausing and self._is_stopped(self._steps[place]):
                self._fail(place, actions)

    def _fail(self, place: int, actions: list[Action]) -> None:
        """Let a step that waits for another attempt have failed."""
        self._move(place, StepState.FAILED)
        actions.append(GiveUpStep(self._steps[place].id))
        self._ended(place, StepState.FAILED, actions)

    def _cancel(self, actions: list[Action]) -> None:
        self._is_cancelled = True
        self._ready.drain()
        for place, state in enumerate(self._states):
            is_again = place in self._attempts and state is StepState.READY
            if is_again or state is StepState.PAUSING:
                self._move(place, StepState.FAILED)
                self._has_failed |= self._is_counted(self._steps[place])
                actions.append(GiveUpStep(self._steps[place].id))
            elif state in {StepState.WAITING, StepState.READY}:
                self._skip(place, "cancelled", actions)
            elif state is StepState.RUNNING:
                actions.append(CancelStep(self._steps[place].id))

    def _start_ready(self, actions: list[Action]) -> None:
        while (place := self._ready.take()) is not None:
            self._move(place, StepState.RUNNING)
            actions.append(StartStep(self._steps[place].id, self._attempts.get(place, 1)))

    def _finish_if_over(self, actions: list[Action]) -> None:
        is_over = not any(
            self._counts[state]
            for state in (
                StepState.WAITING,
                StepState.READY,
                StepState.RUNNING,
                StepState.PAUSING,
            )
        )
        if is_over and not self._is_finished:
            self._is_finished = True
            actions.append(Finish(self._status()))

    def _status(self) -> str:
        if self._is_cancelled and self._counts[StepState.SUCCEEDED] < len(self._steps):
            return "KILLED"
        return "FAILED" if self._has_failed else "FINISHED"

    def _move(self, place: int, state: StepState) -> None:
        before = self._states[place]
        self._stories.setdefault(place, []).append(state)
        if state not in _MOVES.get(before, ()):
            story = " -> ".join([StepState.WAITING, *self._stories[place]])
            raise InvalidMoveError(f"step '{self._steps[place].id}' can't go this way: {story}")
        self._states[place] = state
        self._counts[before] -= 1
        self._counts[state] += 1

    def _place(self, step_id: str) -> int:
        place = self._position.get(step_id)
        if place is None:
            raise InvalidMoveError(f"the plan has no step '{step_id}'")
        return place


def _asks_for_status(step: PlannedStep) -> bool:
    return bool(step.gates) and step.gates[-1].looks_at_status
