"""The plan: a project's entry point and parameters as a DAG of concrete steps.

Everything that can be known before running is known here; what depends on an earlier step stays an
expression in a `Value` and is evaluated by `expressions.py` when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from flowrun.spec.project import (
    ONE_ATTEMPT,
    Attempts,
    CacheSpec,
    EnvSpec,
    Mark,
    MetricTolerance,
    Name,
    OutputSpec,
    Parameter,
    Plain,
    Promote,
    Register,
    Resources,
    Scalar,
    Value,
)
from flowrun.valueclass import valueclass


@valueclass
class CommandAction:
    """Run a command: `template` is MLflow's `{name}` template over the declared parameters.

    `entry_point` is the entry point's name (None for an inline command). A step whose entry point
    is a script file has the interpreter's command line as its template.
    """

    template: str
    entry_point: str | None
    parameters: Mapping[str, Parameter]
    """The declared ones, in order; none for an inline command, whose `{name}`s are its arguments.

    Arguments that are neither declared nor in the template are appended as ` --name value`.
    """
    baseline: str | None = None
    """Of an `evaluate`: the argument that names a model to compare with, which may be a registered
    one by an alias or a stage: it stands for one version when the step's turn comes, or for none.
    """
    files: tuple[str, ...] = ()
    """Of an `evaluate`: the project's files that it gets functions from."""
    deed: str = ""
    """What it does, in a few words, where that says more than the command."""


@valueclass
class SelectAction:
    """Pick one of `candidates` (step ids, in matrix order) by a metric."""

    candidates: tuple[str, ...]
    metric: str
    mode: str
    threshold: Value | None = None
    """What the best has to reach."""


@valueclass
class PipelineEnd:
    """The end of a nested pipeline: its results become the outputs of the calling step.

    The planned step's scope is the nested pipeline's, so that the results mean what they say.
    """

    results: Mapping[str, Value]
    is_trial: bool = False
    """It is a trial of a sweep: a run of its own, over those of its steps."""


@valueclass
class FanOut:
    """Find out the items of a step whose `foreach` is decided while the plan runs."""

    items: Value | None
    """None: a sweep says, one after the other."""
    end: str
    """The id of the FanIn that stands for all instances."""
    template: tuple[PlannedStep, ...]
    """What one instance looks like: `train[*]`, and what is in it."""
    instances: Callable[[Sequence[Item]], tuple[tuple[str, ...], tuple[PlannedStep, ...]]] = field(
        repr=False, compare=False
    )
    """Plans instances, and gives their ids and all their steps."""


@valueclass
class FanIn:
    """The end of all instances of a FanOut: their results become one result, of lists."""

    begin: str
    """The id of the FanOut."""
    instances: tuple[str, ...] = ()
    """Those that there are by now, in the order of the items."""
    is_sweep: bool = False
    """They are trials: what became of them is the FanOut's to judge."""


Action = CommandAction | SelectAction | Register | Promote | PipelineEnd | FanOut | FanIn


@valueclass
class Scope:
    """What the names in one pipeline's expressions mean.

    `steps` maps a step's name, as written, to its id, or to all its ids for a step with a matrix;
    a step with `foreach` has the id of its FanIn, if its items are not known yet.
    `params` are the pipeline's own parameters: values at the top, in a nested pipeline what its
    caller wrote, to be evaluated in `outer` with the caller's `matrix`.
    """

    parameters: Mapping[str, Parameter]
    params: Mapping[str, Value]
    steps: Mapping[str, str | tuple[str, ...]]
    outer: Scope | None = None
    matrix: Mapping[str, Value] = field(default_factory=dict)


@valueclass
class Gate:
    """One `if` that governs a step, or the lack of one, which means `success()`.

    `needs` are the steps whose outcome `success()` asks about. `watched` are the steps before it,
    near and far, whose failure `failure()` asks about; empty where the `if` does not ask.
    """

    condition: Value | None
    scope: Scope
    matrix: Mapping[str, Value]
    needs: tuple[str, ...]
    looks_at_status: bool
    watched: tuple[str, ...] = ()
    tolerated: frozenset[str] = frozenset()
    """Of `needs`: those with `continue_on_error`, whose failure counts as success."""


@valueclass
class Item:
    """One of the values that a `foreach` comes to: a single one, or a map of them."""

    value: Plain
    name: str | None = None
    """What stands for it in ids, if not its text."""
    is_id: bool = False
    """The name is fit for an id, and no other item has it."""


@valueclass
class Membership:
    """A step's part in a group of which only so many members may be under way at once."""

    group: str
    member: str
    """The step that is the member, or the nested pipeline that it is in: its end is the
    member's."""
    limit: int | None
    """None: any number."""
    fail_fast: bool = False
    """Whether the failure of one member ends the others."""


@valueclass
class PlannedStep:
    """One concrete step.

    `id` is unique in the plan: `prepare`, `train[lr=0.5]`, and in nested pipelines `score/prepare`.
    `project` is the key of its project in `Plan.projects` ('' for the one asked for).
    """

    id: str
    name: str
    action: Action
    scope: Scope
    needs: tuple[str, ...]
    """Ids of the steps that must end before it, sorted in plan order."""
    mark: Mark | None
    project: str = ""
    arguments: Mapping[str, Value] = field(default_factory=dict)
    matrix: Mapping[str, Value] = field(default_factory=dict)
    """This instance's value of each axis; usually literal, may be an expression over params."""
    gates: tuple[Gate, ...] = ()
    """What governs it, outermost first: a nested step is also under its callers' ones."""
    caller: str = ""
    """The id of the step that called the nested pipeline it is in; '' at the top."""
    env: EnvSpec | None = None
    resources: Resources = field(default_factory=Resources)
    variables: Mapping[str, Value] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    metrics: str | None = None
    metric_tolerance: MetricTolerance | None = None
    continue_on_error: bool = False
    after: tuple[str, ...] = ()
    """Of `needs`: those that its `needs` names, or that of a caller, whatever they hand on."""
    cache: CacheSpec = field(default_factory=CacheSpec)
    members: tuple[Membership, ...] = ()
    """The groups that it counts in, outermost first."""
    concurrency: str | None = None
    """No other step with this name, of any flowrun of the user's, runs at the same time."""
    template: str = ""
    """Of a step that a plan has grown by: the id of the one in the plan that looked like it."""
    sources: tuple[Name, ...] | None = None
    """Patterns of its project's files that count as its code; None: all."""
    attempts: Attempts = ONE_ATTEMPT
    """How often its command is tried, and how long one try may take."""

    @property
    def conditions(self) -> tuple[tuple[Value, Scope], ...]:
        """Every `if` that governs it, outermost first."""
        return tuple((gate.condition, gate.scope) for gate in self.gates if gate.condition)


@valueclass
class SubProject:
    """Another project that a step calls, as it was found: pinned to a commit."""

    key: str
    uri: str
    """As shown to people: without credentials."""
    version: str | None
    commit: str | None
    tree: str


@valueclass
class Plan:
    """A DAG of steps in an order in which they could run one after another."""

    project_name: str | None
    entry_point: str
    params: Mapping[str, Scalar]
    """The parameters of the entry point asked for, checked, with defaults filled in; raw values."""
    steps: tuple[PlannedStep, ...]
    sub_projects: Mapping[str, SubProject] = field(default_factory=dict)
    is_pipeline: bool = False
    """False: one command, recorded as one run; True: a parent run and a child run a step."""
    warnings: tuple[str, ...] = ()
    is_sweep: bool = False
    """Its only step is a FanOut whose instances are trials."""

    @property
    def looks(self) -> Iterator[PlannedStep]:
        """Every step, and what the instances will look like that are not decided yet."""
        return _looks(self.steps)


def _looks(steps: Iterable[PlannedStep]) -> Iterator[PlannedStep]:
    for step in steps:
        yield step
        if isinstance(step.action, FanOut):
            yield from _looks(step.action.template)
