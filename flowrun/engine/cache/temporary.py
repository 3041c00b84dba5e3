"""Temporary outputs: removed when the last step that needs them is done, made again when needed."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from flowrun.engine.cache.kept import OUTPUT_PREFIX
from flowrun.engine.cache.verdicts import UNMET, Foreseen, Verdict
from flowrun.engine.console import size_text
from flowrun.engine.events import Event, StepProgress
from flowrun.engine.request import RunRequest
from flowrun.engine.services import Services
from flowrun.engine.values import OutputValue
from flowrun.errors import FlowrunError, NotFoundError
from flowrun.plan.expressions import StepResult
from flowrun.plan.plan import CommandAction, FanOut, PlannedStep
from flowrun.valueclass import valueclass

REMOVED = "removed_time_ms"
"""In the tag of an output that is not there any more: when it was removed."""


def gone_outputs(result: StepResult) -> list[str]:
    """Give the URIs of a result's outputs that are not there any more."""
    values = result.outputs.values()
    return [str(each) for each in values if isinstance(each, OutputValue) and each.is_gone]


def needed_again(
    steps: Sequence[PlannedStep], foreseen: Mapping[str, Foreseen], reads: Mapping[str, str]
) -> dict[str, str]:
    """Give the steps that must run since a temporary output is gone, with why, by their ids.

    Args:
        steps: of the plan.
        foreseen: what will become of them, if gone outputs don't matter.
        reads: what steps that will run are given, by their ids, where that is known.
    """
    makers = {
        id_: gone
        for id_, each in foreseen.items()
        if each.reused is not None and (gone := gone_outputs(each.reused.result))
    }
    if not makers:
        return {}
    by_id = {step.id: step for step in steps}
    needed: dict[str, str] = {}
    for step in steps:
        if not _may_run(step, foreseen[step.id]):
            continue
        for maker in set(_makers_before(step, by_id)) & makers.keys():
            if step.id not in reads or any(uri in reads[step.id] for uri in makers[maker]):
                needed.setdefault(maker, f"its temporary output is gone, and {step.id} needs it")
    return needed


def _may_run(step: PlannedStep, foreseen: Foreseen) -> bool:
    if not isinstance(step.action, CommandAction | FanOut):
        return False  # hands on what others made; a model is not temporary
    return foreseen.verdict is not Verdict.REUSE and foreseen.why != UNMET


def _makers_before(step: PlannedStep, steps: Mapping[str, PlannedStep]) -> Iterator[str]:
    """Give the commands whose outputs a step may read, also by way of what only hands them on."""
    waiting, seen = list(step.needs), set[str]()
    while waiting:
        need = waiting.pop()
        if need in seen or need not in steps:
            continue
        seen.add(need)
        if isinstance(steps[need].action, CommandAction):
            yield need
        else:
            waiting += steps[need].needs


@valueclass
class _Removal:
    step_id: str
    run_id: str
    outputs: Mapping[str, OutputValue]


class TemporaryOutputs:
    """Removes the temporary outputs of one run's steps, in a thread of its own.

    A step is done with what it reads if it ended well, or its condition was not met. After a
    failure, or where a cancellation skipped a step, its inputs stay: whoever resumes needs them.
    """

    def __init__(
        self, services: Services, request: RunRequest, tell: Callable[[Event], None]
    ) -> None:
        """Look at the plan.

        Args:
            services: the stores.
            request: what is run. What a command by itself makes was asked for, and what a
                verification makes is to be compared: nothing of it goes.
            tell: told what was removed.
        """
        plan = request.plan
        self._is_on = (
            plan.is_pipeline
            and request.options.rehearsal is None
            and any(spec.is_temporary for step in plan.looks for spec in step.outputs.values())
        )
        self._services = services
        self._tell = tell
        self._steps: dict[str, PlannedStep] = {}
        self._after: dict[str, list[str]] = {}
        self._done: set[str] = set()
        self._removed: set[str] = set()
        self._inbox: queue.SimpleQueue[_Removal | None] = queue.SimpleQueue()
        self._remover = threading.Thread(target=self._work, name="flowrun-temp", daemon=True)
        self.grow(plan.steps)

    def grow(self, steps: Iterable[PlannedStep]) -> None:
        """Take in steps that the plan has grown by."""
        for step in steps if self._is_on else ():
            self._steps[step.id] = step
            for need in step.needs:
                self._after.setdefault(need, []).append(step.id)

    def done(self, step_id: str, results: Mapping[str, StepResult]) -> None:
        """Take note that a step is done with all that it reads.

        Args:
            step_id: the step.
            results: of all steps that have ended.
        """
        if not self._is_on:
            return
        self._done.add(step_id)
        step = self._steps[step_id]
        for maker in {step_id, *_makers_before(step, self._steps)} - self._removed:
            outputs = self._temporary(maker, results)
            run_id = results[maker].run_id if maker in results else None
            if outputs and run_id and self._is_over(maker):
                self._removed.add(maker)
                if self._remover.ident is None:
                    self._remover.start()
                self._inbox.put(_Removal(maker, run_id, outputs))

    def close(self) -> None:
        """Wait until all is removed that was to be."""
        if self._remover.ident is not None:
            self._inbox.put(None)
            self._remover.join()

    def _temporary(self, maker: str, results: Mapping[str, StepResult]) -> dict[str, OutputValue]:
        specs = self._steps[maker].outputs
        found = results[maker].outputs if maker in results else {}
        return {
            name: value
            for name, spec in specs.items()
            if spec.is_temporary
            and isinstance(value := found.get(name), OutputValue)
            and not value.is_gone
        }

    def _is_over(self, step_id: str) -> bool:
        """Tell whether a step is done, and whoever reads what it made, or what hands that on."""
        waiting, seen = [step_id], set[str]()
        while waiting:
            each = waiting.pop()
            if each not in self._done:
                return False
            if each == step_id or not isinstance(self._steps[each].action, CommandAction):
                waiting += [after for after in self._after.get(each, ()) if after not in seen]
                seen.update(self._after.get(each, ()))
        return True

    def _work(self) -> None:
        while (removal := self._inbox.get()) is not None:
            for name, value in removal.outputs.items():
                with suppress(FlowrunError, OSError):  # it stays: nothing depends on its going
                    self._remove(removal, name, value)

    def _remove(self, removal: _Removal, name: str, value: OutputValue) -> None:
        store, run_id = self._services.tracking, removal.run_id
        prefix = f"runs:/{run_id}/"
        if not value.startswith(prefix):
            return
        artifacts = self._services.open_artifacts(store.get_run(run_id).info.artifact_uri)
        with suppress(NotFoundError):
            artifacts.delete(value.removeprefix(prefix))
        recorded = {
            "uri": str(value),
            "sha256": value.digest.sha256,
            "size_bytes": value.digest.size_bytes,
            REMOVED: self._services.now(),
        }
        store.log_batch(run_id, tags={OUTPUT_PREFIX + name: json.dumps(recorded)})
        size = size_text(value.digest.size_bytes)
        self._tell(StepProgress(removal.step_id, f"removed its temporary output {name} ({size})"))
