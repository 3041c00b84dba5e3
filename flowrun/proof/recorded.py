"""A recorded run: what a pipeline's run, or a single command's, says about itself.

Values only; `reading.py` reads them from a store. A fact that the record lacks (an older flowrun
did not write it, somebody removed a tag or file) is None or left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from flowrun.engine.events import Attempt
from flowrun.engine.record.recorder import DECLINED_TAG, PENDING_TAG
from flowrun.plan.draw import Json
from flowrun.tracking.entities import RunStatus
from flowrun.valueclass import valueclass


@valueclass
class RecordedSource:
    """Where a run's code came from."""

    uri: str
    """As it was asked for, without credentials, with `#subdir`."""
    repo_url: str | None
    commit: str | None
    tree: str | None
    """The exact git tree, of the whole repository or directory."""
    subdir: str
    """The project's directory inside the tree; '' is its top."""
    ref: str | None
    """The version as it was asked for."""
    branch: str | None
    is_dirty: bool
    commit_time_s: int | None = None
    is_in_place: bool = False
    """The command ran in the user's own directory, whatever the tree says."""


@valueclass
class RecordedContent:
    """An input or an output."""

    uri: str
    sha256: str
    size_bytes: int


@valueclass
class RecordedEnv:
    """What a command ran in."""

    backend: str
    """`local`, `virtualenv`, `conda` or `docker`."""
    key: str
    """sha256 hex of the lock; '' for the caller's own interpreter."""
    lock: str | None
    """The lock's text; of the caller's own interpreter, what was installed there."""
    image: str | None = None
    """As the project names it."""
    image_id: str | None = None


@valueclass
class RecordedStep:
    """One step that had a run. Times are milliseconds since the epoch."""

    id: str
    """As in the plan: `prepare`, `train[lr=0.5]`."""
    kind: str
    """`command`, `select`, `register` or `promote`."""
    run_id: str
    entry_point: str
    status: RunStatus
    start_time_ms: int
    end_time_ms: int | None
    source: RecordedSource
    artifact_uri: str
    params: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    """The command line as the shell got it, secrets masked."""
    inputs: Mapping[str, RecordedContent] = field(default_factory=dict)
    outputs: Mapping[str, RecordedContent] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    """The small values that the command handed on."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The latest value of each; `RunReader.history` gives all points of one."""
    models: tuple[str, ...] = ()
    """Ids of the logged models that it made."""
    env: RecordedEnv | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    """Why it is not FINISHED."""
    peak_memory_bytes: int | None = None
    cpu_time_s: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_undone(self) -> bool:
        """It began, and did nothing (yet): a promotion that waits for an approval, or fell away."""
        return PENDING_TAG in self.tags or DECLINED_TAG in self.tags


@valueclass
class RecordedOutcome:
    """How a step of a pipeline ended; one that was skipped has no run."""

    status: str
    """`succeeded`, `failed`, `skipped` or `killed`."""
    run_id: str | None
    detail: str
    reused_from: str | None = None
    """The finished run of before that stands for it; its own, then, there is none."""
    why: str = ""
    """Why it ran, although it might have been reused."""


@valueclass
class RecordedRun:
    """A whole run: of a pipeline with its steps, or of a single command, its own only step."""

    run_id: str
    name: str
    experiment_id: str
    status: RunStatus
    start_time_ms: int
    end_time_ms: int | None
    user: str
    host: str | None
    flowrun_version: str | None
    source: RecordedSource
    entry_point: str
    is_pipeline: bool
    artifact_uri: str
    params: Mapping[str, str]
    """As the caller gave them, with defaults; paths on the command line as they were typed."""
    steps: tuple[RecordedStep, ...]
    """In the plan's order; those of which no run was made are only in `outcomes`."""
    outcomes: Mapping[str, RecordedOutcome] = field(default_factory=dict)
    """By step id, of a pipeline."""
    plan: Mapping[str, Json] | None = None
    """As `plan_to_json` gives it."""
    project_file: str | None = None
    diff: str | None = None
    """Of a dirty tree: `git diff` against its commit."""
    tags: Mapping[str, str] = field(default_factory=dict)
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    """By step id: all attempts at it of which there are runs, the first one first."""
    options: Mapping[str, Json] | None = None
    """What else than the usual was asked for, as `options_text` gives it."""

    def step(self, step_id: str) -> RecordedStep | None:
        """Give a step by its id; None if it had no run."""
        return next((step for step in self.steps if step.id == step_id), None)
