"""What is asked of the engine: a plan, the code it runs, and how to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.events import Attempt
from flowrun.envs.base import NO_WISH, Wish
from flowrun.plan.plan import Plan, PlannedStep
from flowrun.sources.source import Source
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.engine.sweeps.sweep import Sweep


@valueclass
class ProjectCode:
    """One project of a plan: its exact tree and a read-only copy of its directory."""

    source: Source
    directory: Path


@valueclass
class GivenEnv:
    """The environment that a step must have, as a record or the project's lock file says."""

    manager: str | None
    """As for `EnvStore.ensure`."""
    lock: str | None
    """None where the manager pins nothing (`local`), or the record has no lock."""
    wish: Wish = NO_WISH
    """Without a lock: how to resolve."""


@valueclass
class Rehearsal:
    """The steps that would write to the model registry only act as if they did.

    What they look at there has moved on since the run that is carried out again, so they end as
    they did then.
    """

    statuses: Mapping[str, str] = field(default_factory=dict)
    """By step id: how it ended then."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """By step id: the model version that it made then."""
    champions: Mapping[str, str] = field(default_factory=dict)
    """By step id: the model that an `evaluate` compared with then; `none` if there was none."""


@valueclass
class Releasing:
    """How the steps that write to the model registry go about it."""

    is_dry_run: bool = False
    """They only say what they would do."""
    wait_s: float | None = None
    """How long a promotion waits for an approval, maybe infinite; None: it ends as pending."""


@valueclass
class Resumed:
    """What a run has already that is gone on with."""

    finished: Mapping[str, str] = field(default_factory=dict)
    """By step id: the finished run that stands for it."""
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    """By step id: those that there were; they are counted on."""


@valueclass
class RunOptions:
    """How to carry out a plan; the command line's flags."""

    experiment_id: str
    experiment_name: str
    run_name: str | None = None
    run_id: str | None = None
    """Record into this run (it exists) instead of a new one."""
    env_manager: str | None = None
    jobs: int = 1
    """Steps that run at the same time, at most."""
    builds: int = 1
    """Environments that are built at the same time, at most."""
    cpus: float = 1.0
    memory_bytes: int = 0
    gpus: tuple[str, ...] = ()
    """Those that steps may use, as `CUDA_VISIBLE_DEVICES` names them."""
    fail_fast: bool = False
    in_place: bool = False
    """Run in the user's own directory, for development: not reproducible."""
    storage_dir: Path | None = None
    """Where downloaded `path` parameters go; they stay there."""
    docker_args: Mapping[str, str] = field(default_factory=dict)
    """More about containers, in the words of `docker run`."""
    build_image: bool = False
    """Make an image with the project's files in it, as MLflow does when asked."""
    project_file: str | None = None
    """The text of the project file, for the record."""
    envs: Mapping[str, GivenEnv] = field(default_factory=dict)
    """By step id: goes before `env_manager`. Other steps' environments are resolved."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """By URI: the sha256 that an input from elsewhere must have, else its step fails."""
    is_cache_on: bool = True
    """Whether finished runs may stand for steps. What runs is kept for others in any case."""
    rerun: frozenset[str] = frozenset()
    """Ids of the steps that run whatever there is."""
    rehearsal: Rehearsal | None = None
    """Leave the model registry alone."""
    releasing: Releasing = Releasing()
    tags: Mapping[str, str] = field(default_factory=dict)
    """More tags of each run that is made."""
    sweep: Sweep | None = None
    """What says which trials there are, if the plan is one of a sweep."""
    resumed: Resumed | None = None
    """`run_id` is gone on with."""

    def env_of(self, step: PlannedStep) -> GivenEnv | None:
        """Give the environment that a step must have; None: none is said."""
        return self.envs.get(step.id) or self.envs.get(step.template)

    def must_run(self, step: PlannedStep) -> bool:
        """Tell whether a step runs whatever there is."""
        # One that the plan has grown by is named by the step that decided it.
        name = step.template
        while name and name not in self.rerun:
            name = name.rpartition("/")[0]
        return step.id in self.rerun or bool(name)


@valueclass
class RunRequest:
    """A plan with its code and options."""

    plan: Plan
    projects: Mapping[str, ProjectCode]
    """By `PlannedStep.project`: '' is the project asked for."""
    options: RunOptions
    shown_params: Mapping[str, str] = field(default_factory=dict)
    """Parameters as the user gave them, where the plan's differ (paths made absolute)."""
