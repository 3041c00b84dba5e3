"""A step whose `foreach` is decided while the plan runs: planned as its beginning and its end.

The beginning, `train[*]`, finds out what the items are; the plan then grows by an instance for each
of them, and the end, `train`, stands for all of them. What one instance looks like is planned with
the rest, so that its environment, secrets and mistakes are known before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from flowrun.errors import PlanError
from flowrun.plan.expressions import ExpressionError, NotEndedError, evaluate_early
from flowrun.plan.frames import Turn
from flowrun.plan.matrix import ITEM, Instance, instances_for, items_of
from flowrun.plan.order import in_order
from flowrun.plan.plan import Action, FanIn, FanOut, Item, PipelineEnd, Plan, PlannedStep, Scope
from flowrun.spec.expressions import condition_code, names_in
from flowrun.spec.problems import Problems
from flowrun.spec.project import StepSpec, Value
from flowrun.valueclass import valueclass

WriteOut = Callable[[Iterable[Turn], Problems], tuple[PlannedStep, ...]]
"""Plans instances, and notes what is wrong with them."""


@valueclass
class Growth:
    """What a plan grows by."""

    fan_id: str
    """The step that decided it."""
    steps: tuple[PlannedStep, ...]
    """In an order in which they could run."""
    end: PlannedStep
    """Takes the place of the step of its id, and waits for the new ones as well."""


def early_items(step: StepSpec, scope: Scope, problems: Problems) -> tuple[Item, ...] | None:
    """Return the items of a step's `foreach`; None if they are known only while the plan runs."""
    assert step.fan is not None  # noqa: S101 - asked for such steps only
    assert step.fan.items is not None  # noqa: S101
    value = step.fan.items
    try:
        found = value.raw if isinstance(value.raw, tuple) else evaluate_early(value, scope, {})
        return items_of(found)
    except NotEndedError:
        return None
    except (ExpressionError, PlanError) as error:
        problems.add(value.mark, f"step '{step.name}': {error.message}")
        return ()


def fan_steps(
    turn: Turn,
    write_out: WriteOut,
    base: Callable[[Turn, Action], PlannedStep],
    problems: Problems,
) -> tuple[PlannedStep, PlannedStep]:
    """Return the beginning and the end of a step whose items are not known yet.

    Args:
        turn: of the step, with the id it would have without `foreach`.
        write_out: plans its instances.
        base: makes a planned step of a turn.
        problems: where what is wrong with every instance is noted.
    """
    step, end_id = turn.step, turn.instance.id
    assert step.fan is not None  # noqa: S101 - the caller's match
    is_sweep = step.fan.items is None
    begin_id = f"{end_id}[*]"

    def instances(items: Sequence[Item]) -> tuple[tuple[str, ...], tuple[PlannedStep, ...]]:
        made = instances_for(step, end_id, items)
        turns = [replace(turn, instance=each) for each in made]
        wrong = Problems()
        steps = write_out(turns, wrong)
        wrong.raise_if_any()
        return tuple(each.id for each in made), tuple(map(_as_trial, steps)) if is_sweep else steps

    around = turn if not _looks_at_item(step) else replace(turn, step=replace(step, condition=None))
    template = write_out([replace(turn, instance=Instance(begin_id, {}))], problems)
    begin = replace(
        base(
            replace(around, instance=Instance(begin_id, {})),
            FanOut(step.fan.items, end_id, template, instances),
        ),
        members=turn.frame.members,
    )
    end = base(replace(around, needs=(*turn.needs, begin_id)), FanIn(begin_id, is_sweep=is_sweep))
    return begin, replace(end, members=turn.frame.members)


def grow(fan: PlannedStep, items: Sequence[Item], known: Mapping[str, PlannedStep]) -> Growth:
    """Return what a plan grows by when the items of a step are known.

    Args:
        fan: its action is a FanOut.
        items: of this call; another one may bring more.
        known: all steps that the plan has so far, by id.

    Raises:
        PlanError, SpecError: an item fits no instance.
    """
    action = fan.action
    assert isinstance(action, FanOut)  # noqa: S101 - the caller's match
    ids, steps = action.instances(items)
    before = known[action.end]
    assert isinstance(before.action, FanIn)  # noqa: S101 - made together
    end = replace(
        before,
        action=replace(before.action, instances=(*before.action.instances, *ids)),
        needs=(*before.needs, *ids),
    )
    *ordered, end = in_order([*(_with_template(each, fan) for each in steps), end], known)
    return Growth(fan.id, tuple(ordered), end)


def grown(plan: Plan, growths: Sequence[Growth]) -> Plan:
    """Return a plan with all that it has grown by, each before the step that stands for it."""
    before: dict[str, list[PlannedStep]] = {}
    ends: dict[str, PlannedStep] = {}
    for growth in growths:
        before.setdefault(growth.end.id, []).extend(growth.steps)
        ends[growth.end.id] = growth.end
    steps: list[PlannedStep] = []
    undone = list(reversed(plan.steps))
    while undone:
        step = undone.pop()
        if more := before.pop(step.id, None):
            undone += (step, *reversed(more))
        else:
            steps.append(ends.get(step.id, step))
    return replace(plan, steps=tuple(steps))


def with_instances(plan: Plan, step_ids: Iterable[str]) -> Plan:
    """Return a plan with the steps of these ids that it would have if it had grown by them."""
    known = {step.id for step in plan.steps}
    new = [step_id for step_id in dict.fromkeys(step_ids) if step_id not in known]
    steps: list[PlannedStep] = []
    for step in plan.steps:
        steps.append(step)
        if isinstance(step.action, FanOut):
            looks = Plan(None, "", {}, step.action.template).looks
            patterns = [(each, _id_pattern(each.id)) for each in looks]
            steps += (
                replace(each, id=step_id)
                for step_id in new
                for each, pattern in patterns
                if pattern.fullmatch(step_id) and not isinstance(each.action, FanOut)
            )
    return replace(plan, steps=tuple(steps))


def _id_pattern(template_id: str) -> re.Pattern[str]:
    return re.compile(re.escape(template_id).replace(r"\[\*\]", r"\[[^\[\]]*\]"))


def _as_trial(step: PlannedStep) -> PlannedStep:
    """Return a step of a trial; the end of one that is a pipeline stands for the trial."""
    if not isinstance(step.action, PipelineEnd) or step.caller:
        return step
    return replace(step, action=replace(step.action, is_trial=True))


def _with_template(step: PlannedStep, fan: PlannedStep) -> PlannedStep:
    """Return a step with the id of the one in the plan that looked like it."""
    action = fan.action
    assert isinstance(action, FanOut)  # noqa: S101 - the caller's
    suffix = step.id[step.id.index("]", len(action.end)) + 1 :]
    return replace(step, template=(fan.template or fan.id) + suffix)


def _looks_at_item(step: StepSpec) -> bool:
    condition: Value | None = step.condition
    if condition is None or not isinstance(condition.raw, str):
        return False
    return any(path[0] == ITEM for path in names_in(condition_code(condition.raw)).paths)
