"""`sweep`: an entry point carried out many times with other parameters, as one recorded run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from flowrun.api import memory_bytes, open_default_stores, plan_asked, processors, texts_of
from flowrun.engine.events import Observer
from flowrun.engine.prepare.locked import Asked
from flowrun.engine.prepare.params_file import given_params, read_text
from flowrun.engine.prepare.planning import PlannedProject
from flowrun.engine.record.options_file import parse_options
from flowrun.engine.request import RunOptions
from flowrun.engine.run_outcome import RunOutcome
from flowrun.engine.steps.gpus import gpus_of
from flowrun.engine.sweeps.samplers import (
    GRID,
    RANDOM,
    SweepSpec,
    Trial,
    TrialState,
    check_names,
    make_sampler,
)
from flowrun.engine.sweeps.sweep import Sweep
from flowrun.engine.sweeps.sweep_file import SWEEP_FILE, parse_sweep
from flowrun.engine.values import as_text
from flowrun.errors import NotFoundError, PlanError, UsageError
from flowrun.executors.local import SupervisorProcess
from flowrun.plan.plan import CommandAction, FanOut, Plan
from flowrun.plan.sweep import Swept, is_grid
from flowrun.proof.left import envs_of, resumed
from flowrun.resuming import recorded_again
from flowrun.settings import Settings, load_settings
from flowrun.sources.source import silent
from flowrun.spec.parse_space import (
    Choice,
    Dimension,
    Space,
    dimension_of_words,
    fitted,
    parse_space,
)
from flowrun.spec.problems import did_you_mean
from flowrun.spec.project import Mark, Parameter
from flowrun.stores import Stores
from flowrun.surroundings import SilentObserver, Surroundings
from flowrun.valueclass import valueclass


@valueclass
class SweepOutcome:
    """How a sweep ended."""

    run: RunOutcome
    spec: SweepSpec
    trials: tuple[Trial, ...]
    """In the order of their numbers."""
    best: Trial | None
    """None without a metric, or if no trial has a number for it."""


@valueclass
class SweepAsked:
    """What a sweep is to try."""

    space: Mapping[str, str | Sequence[object]]
    """Parameter to words (`0.1,0.2`, `1..10`, `1e-4..1e-1:log`), or to a list of values."""
    space_file: Path | None = None
    """A YAML or JSON file of more; `space` goes before it."""
    trials: int | None = None
    """At most; None: all of the grid."""
    parallel: int | None = None
    """Trials at the same time; None: as many as there are processors."""
    metric: str | None = None
    is_max: bool = False
    sampler: str | None = None
    """None: the grid if the space is one, else chance."""
    pruner: str | None = None
    seed: int = 0


def sweep(
    uri: str,
    asked: SweepAsked,
    entry_point: str = "main",
    *,
    version: str | None = None,
    params: Mapping[str, object] | None = None,
    params_file: Path | None = None,
    experiment_name: str | None = None,
    experiment_id: str | None = None,
    env_manager: str | None = None,
    run_name: str | None = None,
    locked: bool = False,
    cache: bool = True,
    observer: Observer | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> SweepOutcome:
    """Carry out an entry point with many values of its parameters, and wait for the end.

    Args:
        uri: as for `api.run`, as are the others; but no recorded run.
        asked: which values, and how many.
        entry_point: a command or a pipeline.
        version: branch, tag, commit or `refs/...` of a git project.
        params: those that are the same in all trials.
        params_file: a file of more.
        experiment_name: the experiment to record into, made if it is new.
        experiment_id: the same by its id.
        env_manager: `local`, `virtualenv` or None for the project's own choice.
        run_name: the sweep's name.
        locked: refuse to run anything else than the project's lock file says.
        cache: let finished runs that did the same stand for trials.
        observer: told what happens while it happens.
        settings: the surroundings; by default those of this process.
        progress: told what takes time before the run begins.

    Raises:
        FlowrunError: something is wrong before any trial begins.
    """
    settings = settings or load_settings()
    given = given_params(texts_of(params), params_file, settings.cwd)
    space, marks = _space(asked, settings.cwd)
    both = [name for name in space if name in given.texts]
    if both:
        raise UsageError(f"parameter '{both[0]}' is swept, and given as well (-P, --params-file)")
    parallel = asked.parallel or processors()
    plan_for = Asked(
        uri,
        entry_point,
        version,
        given.texts,
        env_manager,
        locked,
        given.marks,
        swept=Swept(tuple(space), parallel),
    )
    planned, envs = plan_asked(plan_for, settings, progress)
    spec = _spec(asked, _fitted(planned.plan, space, marks), parallel)
    check_names(spec)
    wanted = replace(
        _options(spec, settings),
        run_name=run_name,
        env_manager=env_manager,
        is_cache_on=cache,
        envs=envs,
        tags=given.tags,
    )
    made = Sweep(spec, make_sampler(spec))
    return _carry_out(made, planned, wanted, settings, observer, (experiment_name, experiment_id))


def resume_sweep(
    run_id: str,
    *,
    trials: int | None = None,
    parallel: int | None = None,
    observer: Observer | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] | None = None,
) -> SweepOutcome:
    """Go on with a sweep that was cancelled or killed; trials that are over are not run again.

    Args:
        run_id: of the sweep, its first digits, or `latest`.
        trials: another number of trials than the sweep was to have.
        parallel: another number of trials at the same time.
        observer: told what happens while it happens.
        settings: the surroundings; by default those of this process.
        progress: told what takes time.

    Raises:
        InvalidStateError: it has finished, or is still running.
        NotRepeatableError: its code is gone, or what was kept of it.
        FlowrunError: anything else that is wrong before any trial begins.
    """
    settings = settings or load_settings()

    kept: list[tuple[SweepSpec, tuple[Trial, ...]]] = []

    def swept_of(stores: Stores, artifact_uri: str) -> Swept:
        spec, before = _kept(stores, artifact_uri)
        spec = replace(spec, trials=trials or spec.trials, parallel=parallel or spec.parallel)
        kept.append((spec, before))
        return Swept(tuple(spec.space), spec.parallel)

    with open_default_stores(settings) as stores:
        again = recorded_again(run_id, stores, {}, settings, progress or silent, swept_of)
    [(spec, before)] = kept
    asked = parse_options(again.run.options)
    wanted = replace(
        _options(spec, settings),
        run_id=again.run.run_id,
        env_manager=asked.env_manager,
        is_cache_on=asked.is_cache_on,
        envs=envs_of(again.planned.plan, again.envs),
        inputs=again.fetched_inputs,
        resumed=resumed(again.run),
    )
    over = tuple(trial for trial in before if trial.state is not TrialState.KILLED)
    made = Sweep(spec, make_sampler(spec), over)
    return _carry_out(made, again.planned, wanted, settings, observer, (None, None))


def _carry_out(
    made: Sweep,
    planned: PlannedProject,
    wanted: RunOptions,
    settings: Settings,
    observer: Observer | None,
    experiment: tuple[str | None, str | None],
) -> SweepOutcome:
    with ExitStack() as stack:
        supervisor = stack.enter_context(closing(SupervisorProcess()))
        surroundings = Surroundings(settings, supervisor, observer or SilentObserver())
        outcome = surroundings.carry_out(planned, replace(wanted, sweep=made), *experiment)
    trials = tuple(sorted(made.trials, key=lambda trial: trial.number))
    return SweepOutcome(outcome, made.spec, trials, made.best())


def _options(spec: SweepSpec, settings: Settings) -> RunOptions:
    jobs = max(spec.parallel, processors())
    return RunOptions(
        "",
        "",
        jobs=jobs,
        builds=processors(),
        cpus=float(jobs),
        memory_bytes=memory_bytes(),
        gpus=gpus_of(settings.variables),
    )


def _spec(asked: SweepAsked, space: Space, parallel: int) -> SweepSpec:
    return SweepSpec(
        space,
        asked.trials,
        asked.sampler or (GRID if is_grid(space) else RANDOM),
        asked.seed,
        parallel,
        asked.metric,
        asked.is_max,
        asked.pruner,
    )


def _space(asked: SweepAsked, cwd: Path) -> tuple[Space, Mapping[str, Mark]]:
    """Give what is swept, as it is written, and where what stands in a file does."""
    space: Space = {}
    marks: Mapping[str, Mark] = {}
    if asked.space_file is not None:
        text = read_text(asked.space_file, cwd, "--space")
        space, marks = parse_space(text, str(asked.space_file))
    words = {name: _dimension(name, written) for name, written in asked.space.items()}
    space = {**space, **words}
    if not space:
        raise UsageError(
            "a sweep needs to know what to try",
            "For instance: -S lr=0.1,0.2 -S depth=2..8, or --space FILE.",
        )
    return space, {name: mark for name, mark in marks.items() if name not in words}


def _dimension(name: str, written: str | Sequence[object]) -> Dimension:
    if isinstance(written, str):
        return dimension_of_words(name, written)
    texts = tuple(as_text(each) for each in written)
    if not texts or len(set(texts)) < len(texts):
        raise UsageError(f"what is tried of '{name}' is a list of different values, one or more")
    return Choice(texts)


def _fitted(plan: Plan, space: Space, marks: Mapping[str, Mark]) -> Space:
    """Give the space in the types of the entry point's parameters."""
    parameters, is_pipeline = _parameters(plan)
    made, problems = fitted(space, parameters, marks)
    for name in space:
        hint = did_you_mean(name, parameters)
        if name not in parameters and (is_pipeline or hint):
            place = f"{marks[name]}: {name}" if name in marks else f"-S {name}"
            told = f"entry point '{plan.entry_point}' has no parameter '{name}'."
            problems.append(f"{place}: {told}{hint}")
    if problems:
        raise PlanError("\n".join(problems))
    return made


def _parameters(plan: Plan) -> tuple[Mapping[str, Parameter], bool]:
    """Give the parameters of the entry point that is swept, and whether it is a pipeline."""
    fan = plan.steps[0].action
    assert isinstance(fan, FanOut)  # noqa: S101 - a sweep's plan
    last = fan.template[-1]
    if isinstance(last.action, CommandAction):
        return last.action.parameters, False
    return last.scope.parameters, True


def _kept(stores: Stores, artifact_uri: str) -> tuple[SweepSpec, tuple[Trial, ...]]:
    try:
        with stores.open_artifacts(artifact_uri).open(SWEEP_FILE) as file:
            data = json.load(file)
    except NotFoundError as error:
        raise UsageError(
            "the run is no sweep: it has no file flowrun/sweep.json",
            "flowrun resume goes on with others.",
        ) from error
    except ValueError:
        data = None
    return parse_sweep(data)
