"""Entry points to planned steps: matrices, nested pipelines and other projects, written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flowrun.errors import PlanError
from flowrun.plan.early import known_value
from flowrun.plan.evaluation import evaluation_arguments, evaluation_command
from flowrun.plan.fan import early_items, fan_steps
from flowrun.plan.frames import Frame, Turn
from flowrun.plan.loaded import LoadedProject, find_entry_point
from flowrun.plan.matrix import Instance, instances_for, instances_of
from flowrun.plan.other_projects import Called, OtherProjects
from flowrun.plan.plan import (
    Action,
    CommandAction,
    FanIn,
    FanOut,
    PipelineEnd,
    PlannedStep,
    Scope,
    SelectAction,
)
from flowrun.spec.problems import Problems
from flowrun.spec.project import (
    CacheSpec,
    EntryPoint,
    EntryPointCall,
    Evaluate,
    FanSpec,
    InlineCommand,
    Name,
    Parameter,
    ProjectCall,
    Promote,
    Register,
    Resources,
    Select,
    StepSpec,
    Value,
)
from flowrun.spec.references import steps_before

if TYPE_CHECKING:
    from flowrun.plan.sweep import Swept

MAX_STEPS = 100_000
"""Of a plan: nested pipelines multiply, so a short file could ask for any number."""
MAX_DEPTH = 100
"""Of pipelines that call pipelines."""


@dataclass(slots=True)
class Expansion:
    """Turns calls into planned steps, collecting what is wrong on the way.

    Steps come in the order of the file, those of a nested pipeline before its end.
    """

    others: OtherProjects
    steps: list[PlannedStep] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)
    _before: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """By the identity of a step's spec: a pipeline called a hundred times is read once."""

    def expand(self, loaded: LoadedProject, target: EntryPoint, bound: Mapping[str, str]) -> None:
        """Plan one entry point.

        Args:
            bound: the parameters, checked, with defaults filled in.
        """
        mark = target.mark
        params = {name: Value(text, mark, is_literal=True) for name, text in bound.items()}
        chain = (("", target.name),)
        if target.steps:
            scope = Scope(target.parameters, params, {})
            self._expand(Frame(loaded, target, scope, chain=chain))
            return
        # A lone command is a pipeline of one step.
        step = StepSpec(target.name, InlineCommand(""), mark, arguments=params)
        frame = Frame(loaded, target, Scope({}, {}, {target.name: target.name}), chain=chain)
        turn = Turn(frame, step, Instance(target.name, {}), ())
        self._add_command(turn, loaded, target)

    def sweep(
        self, loaded: LoadedProject, target: EntryPoint, fixed: Mapping[str, str], swept: Swept
    ) -> None:
        """Plan an entry point that is carried out again and again, each time with other values.

        Args:
            fixed: the parameters that are the same in all trials.
        """
        mark = target.mark
        arguments = {name: Value(text, mark, is_literal=True) for name, text in fixed.items()}
        arguments |= {name: Value(f"${{{{ item['{name}'] }}}}", mark) for name in swept.names}
        step = StepSpec(
            target.name,
            EntryPointCall(Name(target.name, mark)),
            mark,
            arguments=arguments,
            fan=FanSpec(max_parallel=swept.parallel),
            continue_on_error=True,
        )
        frame = Frame(loaded, EntryPoint("", mark), Scope({}, {}, {}))
        self._add_fan(Turn(frame, step, Instance(target.name, {}), ()), {})
        # A trial may fail, but not all of them.
        self.steps = [replace(each, continue_on_error=False) for each in self.steps]

    def _expand(self, frame: Frame) -> tuple[Scope, tuple[str, ...]]:
        """Plan the steps of a pipeline; return its complete scope and the steps' ids."""
        called = self.others.called_by(frame.pipeline, frame.loaded)
        steps = frame.pipeline.steps.values()
        instances = {step.name: self._instances(step, frame) for step in steps}
        # The scope is complete before anything looks at it: a step may refer to a later one.
        ids = {
            name: frame.id_of(name)
            if each is None or frame.pipeline.steps[name].fan is None
            else tuple(instance.id for instance in each)
            for name, each in instances.items()
        }
        scope = replace(frame.scope, steps=ids)
        frame = replace(frame, scope=scope)
        inner: list[str] = []
        for step in steps:
            needs = _ids(self._steps_before(step), ids) or frame.needs
            named = _ids((name.text for name in step.needs), ids)
            after = tuple(dict.fromkeys((*frame.after, *named)))
            turn = Turn(frame, step, Instance(frame.id_of(step.name), {}), needs, after)
            made = instances[step.name]
            if made is None:
                inner += self._add_fan(turn, called)
                continue
            for instance in made:
                self._plan_step(replace(turn, instance=instance), called)
                inner.append(instance.id)
        return scope, tuple(inner)

    def _instances(self, step: StepSpec, frame: Frame) -> tuple[Instance, ...] | None:
        """Return the instances of a step; None if they are decided while the plan runs."""
        step_id = frame.id_of(step.name)
        if step.fan is None or step.fan.items is None:
            return instances_of(step, step_id, frame.scope, self.problems)
        # The scope is not complete yet, but its names are known: nothing has ended.
        names = {name: frame.id_of(name) for name in frame.pipeline.steps}
        items = early_items(step, replace(frame.scope, steps=names), self.problems)
        return None if items is None else instances_for(step, step_id, items)

    def _add_fan(self, turn: Turn, called: Called) -> tuple[str, str]:
        """Plan a step whose items are not known yet; return the ids of its beginning and end."""
        others, before = self.others, self._before

        def write_out(turns: Iterable[Turn], problems: Problems) -> tuple[PlannedStep, ...]:
            inner = Expansion(others, problems=problems, _before=before)
            for each in turns:
                inner._plan_step(each, called)
            return tuple(inner.steps)

        begin, end = fan_steps(turn, write_out, self._base, self.problems)
        self.steps += (begin, end)
        return begin.id, end.id

    def _steps_before(self, step: StepSpec) -> tuple[str, ...]:
        found = self._before.get(id(step))
        if found is None:
            found = self._before[id(step)] = steps_before(step)
        return found

    def _plan_step(self, turn: Turn, called: Called) -> None:
        step, frame = turn.step, turn.frame
        if len(self.steps) >= MAX_STEPS:
            raise PlanError(f"the plan has more than {MAX_STEPS:,} steps")
        match step.action:
            case EntryPointCall(entry_point=name):
                target = find_entry_point(frame.loaded, name.text)
                if target is None:
                    self.problems.add(
                        name.mark,
                        f"step '{step.name}' calls '{name}', which is neither an entry point "
                        "nor a file of the project",
                    )
                else:
                    self._add_call(turn, frame.loaded, target)
            case ProjectCall():
                self._add_call(turn, *called[step.name])
            case InlineCommand(command=command):
                self._add_inline(turn, CommandAction(command, None, {}))
            case Evaluate() as evaluate:
                asking = replace(step, arguments=evaluation_arguments(evaluate))
                self._add_inline(replace(turn, step=asking), evaluation_command(evaluate))
            case Select() as select:
                ids = frame.scope.steps[select.step.text]
                candidates = (ids,) if isinstance(ids, str) else ids
                action = SelectAction(candidates, select.metric, select.mode, select.threshold)
                self.steps.append(self._base(turn, action))
            case Register() | Promote():
                self.steps.append(self._base(turn, step.action))

    def _add_call(self, turn: Turn, loaded: LoadedProject, target: EntryPoint) -> None:
        if target.steps:
            self._add_pipeline(turn, loaded, target)
        else:
            self._add_command(turn, loaded, target)

    def _add_pipeline(self, turn: Turn, loaded: LoadedProject, target: EntryPoint) -> None:
        chain = (*turn.frame.chain, (loaded.key, target.name))
        if chain[-1] in turn.frame.chain or len(chain) > MAX_DEPTH:
            shown = " -> ".join(name for _, name in chain[-10:])
            raise PlanError(
                f"{turn.step.mark}: pipelines call each other without end: {shown}"
                if len(chain) <= MAX_DEPTH
                else f"{turn.step.mark}: pipelines are nested more than {MAX_DEPTH} deep: {shown}"
            )
        scope = Scope(
            target.parameters,
            self._pipeline_params(turn, target),
            {},
            turn.frame.scope,
            turn.instance.matrix,
        )
        frame = Frame(
            loaded,
            target,
            scope,
            turn.instance.id,
            turn.needs,
            turn.gates(),
            chain,
            turn.after,
            turn.members(),
        )
        complete, inner = self._expand(frame)
        end = self._base(turn, PipelineEnd(target.results))
        needs = tuple(dict.fromkeys((*inner, *turn.needs)))
        self.steps.append(replace(end, scope=complete, matrix={}, needs=needs, project=loaded.key))

    def _pipeline_params(self, turn: Turn, target: EntryPoint) -> dict[str, Value]:
        given = self._arguments(turn, target.parameters)
        defaults = {
            name: Value(parameter.default, parameter.mark, is_literal=True)
            for name, parameter in target.parameters.items()
            if name not in given and parameter.default is not None
        }
        return {**given, **defaults}

    def _add_command(self, turn: Turn, loaded: LoadedProject, target: EntryPoint) -> None:
        action = CommandAction(target.command or "", target.name, target.parameters)
        self._add_run(turn, action, target, loaded, self._arguments(turn, target.parameters))

    def _add_inline(self, turn: Turn, action: CommandAction) -> None:
        """Plan a `run`: the pipeline it stands in is the entry point it takes its defaults from."""
        frame = turn.frame
        defaults = replace(frame.pipeline, outputs={}, metrics=None, metric_tolerance=None)
        arguments = self._arguments(turn, action.parameters)
        self._add_run(turn, action, defaults, frame.loaded, arguments)

    def _add_run(
        self,
        turn: Turn,
        action: CommandAction,
        defaults: EntryPoint,
        loaded: LoadedProject,
        arguments: Mapping[str, Value],
    ) -> None:
        """Plan a command: what the step says goes before what the entry point and project say."""
        step = turn.step
        self.steps.append(
            replace(
                self._base(turn, action),
                project=loaded.key,
                arguments=arguments,
                env=step.env or defaults.env or loaded.project.env,
                resources=step.resources or defaults.resources or Resources(),
                variables={**defaults.variables, **step.variables},
                secrets=tuple(dict.fromkeys((*defaults.secrets, *step.secrets))),
                cache=step.cache or defaults.cache or CacheSpec(),
                sources=step.sources if step.sources is not None else defaults.sources,
                outputs={**defaults.outputs, **step.outputs},
                metrics=step.metrics or defaults.metrics,
                metric_tolerance=step.metric_tolerance or defaults.metric_tolerance,
                attempts=step.attempts.over(defaults.attempts),
            )
        )

    def _arguments(self, turn: Turn, declared: Mapping[str, Parameter]) -> dict[str, Value]:
        """Return the arguments, those that can be known now as literal values."""
        step, scope = turn.step, turn.frame.scope
        return {
            name: known_value(
                value, step, declared.get(name), scope, turn.instance.matrix, self.problems
            )
            for name, value in step.arguments.items()
        }

    def _base(self, turn: Turn, action: Action) -> PlannedStep:
        step, frame = turn.step, turn.frame
        concurrency = None if isinstance(action, PipelineEnd | FanOut | FanIn) else step.concurrency
        return PlannedStep(
            turn.instance.id,
            step.name,
            action,
            frame.scope,
            turn.needs,
            step.mark,
            project=frame.loaded.key,
            matrix=turn.instance.matrix,
            gates=turn.gates(),
            caller=frame.caller,
            continue_on_error=step.continue_on_error,
            after=turn.after,
            members=turn.members(),
            concurrency=concurrency,
        )


def _ids(names: Iterable[str], ids: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        known = ids[name]
        found += [known] if isinstance(known, str) else known
    return tuple(found)
