"""Compares a recorded run with another execution of it, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowrun.errors import NotFoundError
from flowrun.plan.plan import (
    CommandAction,
    FanIn,
    FanOut,
    PipelineEnd,
    Plan,
    PlannedStep,
    SelectAction,
)
from flowrun.proof.recorded import RecordedContent, RecordedRun, RecordedStep
from flowrun.proof.verify.causes import chance_cause, code_cause, env_causes, host_cause
from flowrun.proof.verify.difference import (
    Difference,
    Differences,
    is_ignored,
    is_same_number,
    number_difference,
    shown,
)
from flowrun.proof.verify.fetch import Outputs
from flowrun.proof.verify.files import compare_paths
from flowrun.proof.verify.origins import changed_inputs, changed_params, origin_of, step_of
from flowrun.proof.verify.report import StepCheck, Verdict
from flowrun.spec.project import EXACT, MetricTolerance
from flowrun.tracking.entities import RunStatus

SYSTEM_METRICS = "system/*"
"""What MLflow samples of the machine: never the same twice."""

_NO_RUN = (PipelineEnd, FanOut, FanIn)
_WITHOUT_RUN = frozenset({"failed", "killed"})

Spread = Mapping[tuple[str, str], tuple[float, float]]
"""By step and metric: the least and the greatest value that repeated executions gave."""


def compare_runs(
    recorded: RecordedRun,
    found: RecordedRun,
    plan: Plan,
    outputs: Outputs,
    spread: Spread | None = None,
) -> tuple[StepCheck, ...]:
    """Compare all steps, in the plan's order.

    Args:
        recorded: the run to be verified.
        found: another execution of it.
        plan: its steps say how far outputs and metrics may differ.
        outputs: give the contents.
        spread: how far metrics vary by themselves; recorded values may lie as far outside of it
            as it is wide.
    """
    comparison = _Comparison(recorded, found, outputs, spread or {})
    steps = [step for step in plan.steps if not isinstance(step.action, _NO_RUN)]
    for step in steps:
        comparison.checks[step.id] = comparison.check(step)
    return tuple(comparison.checks.values())


@dataclass(slots=True)
class _Comparison:
    recorded: RecordedRun
    found: RecordedRun
    outputs: Outputs
    spread: Spread
    checks: dict[str, StepCheck] = field(default_factory=dict)

    def check(self, step: PlannedStep) -> StepCheck:
        old, new = self.recorded.step(step.id), self.found.step(step.id)
        differences, notes = Differences(), list[str]()
        differences.extend(self._outcome(step, old, new))
        is_compared = isinstance(step.action, CommandAction | SelectAction)
        if old is None or new is None or not is_compared:
            verdict = Verdict.DIFFERENT if differences.count else Verdict.NOT_COMPARED
            return self._made(step, old, new, verdict, differences, notes)
        if isinstance(step.action, SelectAction):
            differences.extend(self._chosen(old, new))
        elif not differences.count:
            self._compare_outputs(step, old, new, differences, notes)
            differences.extend(self._metrics(step, old, new))
            differences.extend(_values(old, new))
        verdict = Verdict.DIFFERENT if differences.count else Verdict.SAME
        return self._made(step, old, new, verdict, differences, notes)

    def _made(
        self,
        step: PlannedStep,
        old: RecordedStep | None,
        new: RecordedStep | None,
        verdict: Verdict,
        differences: Differences,
        notes: list[str],
    ) -> StepCheck:
        inherited: tuple[str, ...] = ()
        causes: tuple[str, ...] = ()
        if verdict is Verdict.DIFFERENT:
            inherited = tuple(dict.fromkeys(self._inherited(step, old, new)))
            causes = tuple(self._causes(step, old, new, differences, is_own=not inherited))
        return StepCheck(
            step.id,
            verdict,
            old.run_id if old else None,
            new.run_id if new else None,
            tuple(differences.shown),
            differences.count,
            differences.largest,
            inherited,
            causes,
            tuple(notes),
        )

    def _outcome(
        self, step: PlannedStep, old: RecordedStep | None, new: RecordedStep | None
    ) -> Iterator[Difference]:
        was, now = (
            self._ended(run, step.id, each)
            for run, each in ((self.recorded, old), (self.found, new))
        )
        if was != now:
            why = f" ({new.error})" if new and new.error else ""
            yield Difference("outcome", was, f"{now}{why}")
        elif old and new and old.exit_code != new.exit_code:
            yield Difference("exit code", str(old.exit_code), str(new.exit_code))

    def _ended(self, run: RecordedRun, step_id: str, step: RecordedStep | None) -> str:
        if step is not None and not step.is_undone:
            return step.status.value
        outcome = run.outcomes.get(step_id)
        # It may have failed, or been killed, before it had a run; else it was skipped.
        return outcome.status if outcome and outcome.status in _WITHOUT_RUN else "not run"

    def _chosen(self, old: RecordedStep, new: RecordedStep) -> Iterator[Difference]:
        was = step_of(self.recorded, old.params.get("run_id", ""))
        now = step_of(self.found, new.params.get("run_id", ""))
        if was != now:
            yield Difference("the selected step", str(was), str(now))

    def _compare_outputs(
        self,
        step: PlannedStep,
        old: RecordedStep,
        new: RecordedStep,
        differences: Differences,
        notes: list[str],
    ) -> None:
        before, after = self._contents(old), self._contents(new)
        for name in dict.fromkeys([*step.outputs, *before, *after]):
            place = f"output '{name}'"
            was, now = before.get(name), after.get(name)
            if was is None or now is None:
                if was is not now:
                    differences.add(Difference(place, _sha256(was), _sha256(now)))
            elif was.sha256 != now.sha256 or not was.sha256:
                spec = step.outputs.get(name)
                tolerance = spec.tolerance if spec else EXACT
                try:
                    with self.outputs.path(was.uri) as a, self.outputs.path(now.uri) as b:
                        compared = compare_paths(place, a, b, tolerance)
                except NotFoundError as error:
                    notes.append(f"{place}: {error.message}; only its digest is compared")
                    differences.add(Difference(place, _sha256(was), _sha256(now)))
                else:
                    differences.merge(compared.differences)
                    notes += compared.notes

    def _contents(self, step: RecordedStep) -> dict[str, RecordedContent]:
        """Give its outputs, and the models that its own client logged."""
        known = {content.uri for content in step.outputs.values()}
        models = {}
        for model_id in step.models:
            uri = f"models:/{model_id}"
            if uri not in known:
                name = self.outputs.stores.tracking.get_logged_model(model_id).name
                models[f"model {name}"] = RecordedContent(uri, "", 0)
        return {**step.outputs, **models}

    def _metrics(
        self, step: PlannedStep, old: RecordedStep, new: RecordedStep
    ) -> Iterator[Difference]:
        declared = step.metric_tolerance or MetricTolerance()
        left_out = (*declared.all.ignore, SYSTEM_METRICS)
        for key in dict.fromkeys([*old.metrics, *new.metrics]):
            if is_ignored(key, left_out):
                continue
            place = f"metric '{key}'"
            was, now = old.metrics.get(key), new.metrics.get(key)
            if was is None or now is None:
                yield Difference(place, _number(was), _number(now))
            elif not is_same_number(
                was, now, declared.each.get(key, declared.all)
            ) and not self._varies(step.id, key, was):
                yield number_difference(place, was, now)

    def _varies(self, step_id: str, key: str, recorded: float) -> bool:
        """Whether a metric is as near as its repetitions are to each other."""
        if (step_id, key) not in self.spread:
            return False
        least, greatest = self.spread[step_id, key]
        width = greatest - least
        return least - width <= recorded <= greatest + width

    def _inherited(
        self, step: PlannedStep, old: RecordedStep | None, new: RecordedStep | None
    ) -> Iterator[str]:
        """Give the earlier steps that differ and whose results it took."""
        if old is None or new is None or isinstance(step.action, SelectAction):
            yield from (each for each in step.needs if self._differs(each))
            return
        for name, content in old.inputs.items():
            origin = origin_of(self.recorded, content.uri)
            other = new.inputs.get(name)
            if origin and self._differs(origin) and (not other or other.sha256 != content.sha256):
                yield origin
        if any(True for _ in changed_params(self.recorded, old, self.found, new)):
            yield from (each for each in step.needs if self._differs(each))

    def _differs(self, step_id: str) -> bool:
        check = self.checks.get(step_id)
        return check is not None and check.verdict is Verdict.DIFFERENT

    def _causes(
        self,
        step: PlannedStep,
        old: RecordedStep | None,
        new: RecordedStep | None,
        differences: Differences,
        *,
        is_own: bool,
    ) -> Iterator[str]:
        if old is None or new is None:
            return
        causes = [*code_cause(old, new)]
        if isinstance(step.action, CommandAction):
            causes += env_causes(old.env, new.env)
            causes += changed_inputs(self.recorded, old, new)
        if is_own:
            causes += changed_params(self.recorded, old, self.found, new)
        yield from causes
        if causes or not is_own:
            return
        hosts = list(host_cause(self.recorded, self.found))
        yield from hosts
        if isinstance(step.action, CommandAction) and new.status is RunStatus.FINISHED:
            yield chance_cause(differences.shown)


def _values(old: RecordedStep, new: RecordedStep) -> Iterator[Difference]:
    for name in dict.fromkeys([*old.values, *new.values]):
        was, now = old.values.get(name), new.values.get(name)
        if was != now:
            texts = ("not there" if each is None else shown(each) for each in (was, now))
            yield Difference(f"value '{name}'", next(texts), next(texts))


def _sha256(content: RecordedContent | None) -> str:
    if content is None:
        return "not there"
    return f"sha256 {content.sha256[:12]}..., {content.size_bytes} bytes"


def _number(value: float | None) -> str:
    return "not there" if value is None else repr(value)


def spread_of(runs: Sequence[RecordedRun]) -> Spread:
    """Give how far each metric varies among several executions; nothing for a single one."""
    values: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for step in run.steps:
            for key, value in step.metrics.items():
                values.setdefault((step.id, key), []).append(value)
    return {key: (min(each), max(each)) for key, each in values.items() if len(each) > 1}
