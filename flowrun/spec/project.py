"""The typed project: what an MLproject file says, with where it says it.

Values only. `parse.py` makes them from text, `plan` turns them into a DAG.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from flowrun.valueclass import valueclass


@valueclass
class Mark:
    """A place in a project's file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return `file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"


Scalar = str | int | float | bool | None
"""What YAML's scalars become; text may hold `${{ ... }}` where the grammar allows it."""

Plain = Scalar | list["Plain"] | dict[str, "Plain"]
"""A value of YAML or JSON without its place in a file."""


@valueclass
class Value:
    """A value as written: a scalar, or several (an axis, a `foreach`), not yet evaluated.

    An item of a `foreach` may be a map as well.
    """

    raw: Plain | tuple[Plain, ...]
    mark: Mark
    key: Mark | None = None
    """Where its name stands, for a value of a map."""
    is_literal: bool = False
    """`raw` is the value itself, even if it looks like an expression: it came from outside."""


@valueclass
class Name:
    """A name that must mean something elsewhere in the file: a step, an entry point."""

    text: str
    mark: Mark

    def __str__(self) -> str:
        """Return the name alone."""
        return self.text


class ParameterType(StrEnum):
    """The types that flowrun checks; any other is taken as STRING, with a warning."""

    STRING = "string"
    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    ENUM = "enum"
    LIST = "list"
    JSON = "json"
    PATH = "path"
    URI = "uri"


@valueclass
class Parameter:
    """One declared parameter of an entry point.

    `default` is text exactly as MLflow's `str()` would make it (`True`, `0.1`, `''`); None means
    required; of a list or of json it is JSON. `minimum` and `maximum` are inclusive and only for
    numbers. `is_checked` False (written `check: false`) turns the check of the value off, as in
    MLflow.
    """

    name: str
    type: ParameterType
    default: str | None
    mark: Mark
    minimum: float | None = None
    maximum: float | None = None
    is_checked: bool = True
    choices: tuple[str, ...] = ()
    """Written `values:`; what an enum may be."""
    pattern: str | None = None
    """A regular expression that the whole text must fit."""
    flag: str | None = None
    """Of a bool: what a command has in its place if it is true; nothing if it is false."""


class EnvKind(StrEnum):
    """How an environment is described in the project."""

    PYTHON = "python_env"
    CONDA = "conda_env"
    DOCKER = "docker_env"
    IMPLIED = "implied"
    """No key: python_env.yaml, else conda.yaml, uv.lock, pyproject.toml, or a bare Python."""


@valueclass
class BuildSpec:
    """How to build an image; `context` is relative to the project, `dockerfile` to the context."""

    context: str = "."
    dockerfile: str = "Dockerfile"
    args: tuple[tuple[str, str] | str, ...] = ()
    """A name alone has the value of the caller's variable; if that is not set, the Dockerfile's."""
    target: str | None = None


class MountType(StrEnum):
    """What is mounted: a path of the host, a volume of the engine's, or memory."""

    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


@valueclass
class MountSpec:
    """One of a `docker_env`'s `mounts`; `target` is absolute in the container."""

    type: MountType
    target: str
    source: str | None = None
    """A path of the host (it may hold `~` and `$NAME`), or a volume's name; None for memory."""
    is_read_only: bool = False
    size_bytes: int = 0
    """Of memory, at most; 0 is the engine's own limit."""


@valueclass
class DockerSpec:
    """A `docker_env`: `environment` pairs define a variable; a name alone copies the caller's.

    With `build`, the image is built, and `image` (which may be '') is for MLflow alone.
    """

    image: str
    volumes: tuple[str, ...] = ()
    environment: tuple[tuple[str, str] | str, ...] = ()
    build: BuildSpec | None = None
    user: str | None = None
    """`uid[:gid]` or a name in the image; None: the caller's ids."""
    gpus: str | None = None
    """In the words of `docker run --gpus`: `all`, a count, or `device=0,1`."""
    network: str | None = None
    platform: str | None = None
    shm_size_bytes: int = 0
    mounts: tuple[MountSpec, ...] = ()


@valueclass
class EnvSpec:
    """Which environment a step asks for; `path` is relative to the project's directory."""

    kind: EnvKind
    mark: Mark | None = None
    path: str | None = None
    docker: DockerSpec | None = None


class OutputType(StrEnum):
    """What an output is: anything on disk, or a directory with an MLmodel file."""

    PATH = "path"
    MODEL = "model"


@valueclass
class Tolerance:
    """How far the numbers of two runs may differ: |a - b| <= atol + rtol * |a|, a the recorded one.

    `ignore` leaves parts out altogether: `*.log` files of a directory, `#created` a key of JSON or
    a column, `report.json#meta.created` one in one file; of metrics their names.
    """

    rtol: float = 0.0
    atol: float = 0.0
    ignore: tuple[str, ...] = ()


EXACT = Tolerance()


@valueclass
class MetricTolerance:
    """The same for a step's metrics; `each` goes before `all` for single ones."""

    all: Tolerance = EXACT
    each: Mapping[str, Tolerance] = field(default_factory=dict)
    repeat: int = 1
    """How often a verification runs it, to see how much the numbers vary by themselves."""


@valueclass
class OutputSpec:
    """A declared output of a command; `path` is relative to the step's working directory.

    For a MODEL, `path` may instead be the name under which a client logged the model in the run.
    """

    name: str
    path: str
    type: OutputType
    mark: Mark
    tolerance: Tolerance = EXACT
    is_temporary: bool = False
    """It is removed when the last step that needs its step is done."""


class CacheScope(StrEnum):
    """Whose finished runs may stand for a step."""

    STORE = "store"
    EXPERIMENT = "experiment"


@valueclass
class CacheSpec:
    """Whether a finished run may stand for a step, and which."""

    is_on: bool = True
    expires_s: float | None = None
    """How long after its end; None: for ever."""
    scope: CacheScope = CacheScope.STORE


@valueclass
class Resources:
    """What one step takes of the machine while it runs."""

    cpus: float = 1.0
    memory_bytes: int = 0
    cpu_limit: float | None = None
    """`cpus` as written: a container gets no more; None if the file does not say."""
    gpus: int = 0
    later: tuple[Resources, ...] = ()
    """What the second attempt takes, the third, ...; the last one goes for all further ones."""

    def at(self, attempt: int) -> Resources:
        """Return what an attempt takes; the first is 1."""
        if attempt == 1 or not self.later:
            return self
        return self.later[min(attempt - 2, len(self.later) - 1)]


OUT_OF_MEMORY = "out-of-memory"
LOST = "lost"
TIMEOUT = "timeout"
"""Words of `retry_on`, beside exit codes (`1`) and signals (`SIGKILL`)."""


@valueclass
class Backoff:
    """How long to wait before a command is tried again; each wait is longer by `growth`."""

    first_s: float = 1.0
    growth: float = 2.0
    limit_s: float = 600.0


@valueclass
class Attempts:
    """How often a command is tried and how long one try may take; None: not said."""

    retries: int | None = None
    """Further attempts after the first one; not said: none."""
    backoff: Backoff | None = None
    retry_on: frozenset[str] | None = None
    """What it must have failed for, in the words of the file; not said: anything."""
    timeout_s: float | None = None
    """Of one attempt; not said: it may take for ever."""

    def over(self, other: Attempts) -> Attempts:
        """Return these, with what they don't say taken from others."""
        return Attempts(
            other.retries if self.retries is None else self.retries,
            self.backoff or other.backoff,
            other.retry_on if self.retry_on is None else self.retry_on,
            other.timeout_s if self.timeout_s is None else self.timeout_s,
        )


ONE_ATTEMPT = Attempts()


@valueclass
class EntryPointCall:
    """The step calls an entry point of the same project (by default the one of its own name)."""

    entry_point: Name


@valueclass
class ProjectCall:
    """The step calls an entry point of another project: a URI as on the command line."""

    uri: str
    version: str | None
    entry_point: str
    mark: Mark


@valueclass
class InlineCommand:
    """The step is a command written in place; `{name}` stands for a value of its `with`."""

    command: str


@valueclass
class Select:
    """The step picks the instance of a matrix step whose metric is best."""

    step: Name
    """Written `from:`."""
    metric: str
    mode: str
    """`min` or `max`."""
    threshold: Value | None = None
    """What the best has to reach: a number, or an expression that comes to one."""


@valueclass
class Register:
    """The step makes a model version of a model output; all texts may hold expressions."""

    name: Value
    model: Value
    description: Value | None = None
    tags: Mapping[str, Value] = field(default_factory=dict)
    alias: Value | None = None
    always: bool = False
    """Make a new version also of a model of which there is one."""
    dry_run: Value | None = None
    """Only say what would be done."""


@valueclass
class Promote:
    """The step moves a model version to a stage, an alias, or both; texts may hold expressions."""

    name: Value
    version: Value
    stage: Value | None = None
    """Written `to:`; one of None, Staging, Production, Archived when evaluated."""
    alias: Value | None = None
    archive_existing: bool = True
    reason: Value | None = None
    needs_approval: bool = False
    """Written `approval: required`: somebody has to approve it."""
    approvers: tuple[str, ...] = ()
    """Who may; none: anybody, unless the registry has a rule."""
    dry_run: Value | None = None
    require_signature: Value | None = None
    """A public key: a file of the project, or an absolute path."""


@valueclass
class Evaluate:
    """The step computes how good a model is, by a command in its environment."""

    arguments: Mapping[str, Value]
    """The command's options: `model`, `data`, `target`, `threshold.rmse.max`, ..."""
    baseline: Value | None = None
    """A model to compare with: a URI, which may name one by an alias that nobody has yet."""


StepAction = EntryPointCall | ProjectCall | InlineCommand | Select | Register | Promote | Evaluate


@valueclass
class FanSpec:
    """How one step becomes many: an instance for each combination of a matrix, or for each item."""

    matrix: Mapping[str, Value] = field(default_factory=dict)
    """Axis name to a tuple of values, or one expression that comes to a list, as written."""
    include: tuple[Mapping[str, Value], ...] = ()
    """More combinations, or more about those that there are."""
    exclude: tuple[Mapping[str, Value], ...] = ()
    items: Value | None = None
    """Written `foreach:`; a tuple, or an expression. Then there is no matrix."""
    max_parallel: int | None = None
    """How many instances may be under way at once; None: any number."""
    fail_fast: bool = False
    """Whether the others end when one instance fails."""

    @property
    def names(self) -> tuple[str, ...]:
        """What `matrix.NAME` may be, in this or that instance."""
        more = (name for each in self.include for name in each)
        return tuple(dict.fromkeys((*self.matrix, *more)))


@valueclass
class StepSpec:
    """One step of a pipeline, as written."""

    name: str
    action: StepAction
    mark: Mark
    arguments: Mapping[str, Value] = field(default_factory=dict)
    """Written `with:`; name to value."""
    needs: tuple[Name, ...] = ()
    condition: Value | None = None
    """Written `if:`."""
    fan: FanSpec | None = None
    """Written `matrix:` or `foreach:`, `max_parallel:` and `fail_fast:`."""
    concurrency: str | None = None
    """Steps of one name never run at the same time."""
    resources: Resources | None = None
    env: EnvSpec | None = None
    variables: Mapping[str, Value] = field(default_factory=dict)
    """Written `env:`; environment variables for the step."""
    secrets: tuple[str, ...] = ()
    """Names of the caller's environment variables that only this step gets; masked everywhere."""
    cache: CacheSpec | None = None
    sources: tuple[Name, ...] | None = None
    """Patterns of the project's files that count as its code; None: all."""
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    metrics: str | None = None
    metric_tolerance: MetricTolerance | None = None
    continue_on_error: bool = False
    attempts: Attempts = ONE_ATTEMPT


@valueclass
class EntryPoint:
    """A command, or a pipeline (`steps` is not empty)."""

    name: str
    mark: Mark
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    command: str | None = None
    steps: Mapping[str, StepSpec] = field(default_factory=dict)
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    """A command's outputs."""
    results: Mapping[str, Value] = field(default_factory=dict)
    """A pipeline's `outputs:` name to expression, for the pipeline that calls it."""
    metrics: str | None = None
    """A JSON file of numbers in the working directory, read when the command succeeds."""
    metric_tolerance: MetricTolerance | None = None
    env: EnvSpec | None = None
    resources: Resources | None = None
    variables: Mapping[str, Value] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    cache: CacheSpec | None = None
    sources: tuple[Name, ...] | None = None
    attempts: Attempts = ONE_ATTEMPT


@valueclass
class Project:
    """A whole project file. `file` is its name in the project directory, None if there is none."""

    name: str | None
    entry_points: Mapping[str, EntryPoint]
    env: EnvSpec
    file: str | None
    warnings: tuple[str, ...] = ()
    """Complete lines (`MLproject:3:1: ...`) about what MLflow ignores silently."""
