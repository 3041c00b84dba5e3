"""A recorded run, planned once more: same trees, same parameters, same environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from flowrun.engine.masking import MASK
from flowrun.engine.prepare.planning import PlannedProject, Planner
from flowrun.engine.request import GivenEnv
from flowrun.engine.steps.local_paths import scheme_of
from flowrun.envs.manager import DOCKER, LOCAL
from flowrun.errors import NotRepeatableError, SourceError
from flowrun.plan.sweep import Swept
from flowrun.proof.inputs import (
    ChangedInput,
    absolute_place,
    changed_error,
    changed_inputs,
    fetched_inputs,
    relative_places,
)
from flowrun.proof.recorded import RecordedRun
from flowrun.proof.sources import RecordedSources
from flowrun.sources.cache import SourceCache
from flowrun.spec.load import load_project
from flowrun.spec.project import ParameterType
from flowrun.valueclass import valueclass

BUILD_IMAGE_TAG = "flowrun.build_image"
DOCKER_ARGS_TAG = "flowrun.docker_args"


@valueclass
class Again:
    """What it takes to run a recorded run again."""

    run: RecordedRun
    planned: PlannedProject
    envs: Mapping[str, GivenEnv]
    changed_inputs: tuple[ChangedInput, ...] = ()
    fetched_inputs: Mapping[str, str] = field(default_factory=dict)
    """By URI: the sha256 of what steps fetched from elsewhere."""
    builds_image: bool = False
    """The run was made in an image with the project's files in it (`--build-image`)."""
    lacking: tuple[str, ...] = ()
    """Facts that the record does not have, so that they may come out differently."""


def plan_again(
    run: RecordedRun,
    sources: RecordedSources,
    *,
    cache: SourceCache,
    cwd: Path,
    params: Mapping[str, str],
    swept: Swept | None = None,
) -> Again:
    """Plan a recorded run once more; nothing is executed.

    Args:
        run: ended or not.
        sources: find its projects.
        cache: where they are kept.
        cwd: what a relative path in `params` starts from.
        params: values that take the place of recorded ones.
        swept: what a sweep leaves open.

    Raises:
        NotRepeatableError: the record lacks something without which nothing can be run, or the
            code or a file that was read is gone.
        UnreachableError: the code may be there, but its host does not answer.
        PlanError: `params` don't fit.
    """
    if run.source.is_in_place:
        raise NotRepeatableError(
            f"run {run.run_id} ran in the user's own directory (--in-place): its code was not kept"
        )
    try:
        own = sources.own()
    except SourceError as error:
        raise NotRepeatableError(error.message, error.hint) from error
    given = _params(run, cache.project_dir(own), params)
    changed = [*changed_inputs(run, params, absolute_place)]
    if any(each.found_sha256 is None for each in changed):
        raise changed_error(changed)  # no plan can be made with a path that is not there
    planner = Planner(cache, cwd, find=sources)
    texts = {**given, **params}
    planned = planner.plan(run.source.uri, run.entry_point, run.source.ref, texts, swept=swept)
    changed += changed_inputs(run, params, relative_places(planned, cwd))
    if any(each.found_sha256 is None for each in changed):
        raise changed_error(changed)
    return Again(
        run,
        planned,
        dict(_envs(run)),
        tuple(changed),
        fetched_inputs(run),
        BUILD_IMAGE_TAG in run.tags,
        tuple(_lacking(run)),
    )


def _params(run: RecordedRun, directory: Path, instead: Mapping[str, str]) -> dict[str, str]:
    """Give the recorded values, but for relative paths, which are the project's own defaults."""
    declared = load_project(directory).entry_points.get(run.entry_point)
    types = {name: each.type for name, each in declared.parameters.items()} if declared else {}
    planned = (run.plan or {}).get("params")
    recorded = {**run.params, **(planned if isinstance(planned, dict) else {})}
    given: dict[str, str] = {}
    for name, value in recorded.items():
        text = str(value)
        if name in instead:
            continue
        if MASK in text:
            raise NotRepeatableError(
                f"run {run.run_id}: parameter '{name}' held a secret, which is not recorded",
                f"Give it: -P {name}=...",
            )
        if types.get(name) is ParameterType.PATH and not scheme_of(text):
            absolute = _absolute(run, name, text)
            if absolute is not None:
                given[name] = absolute
        else:
            given[name] = text
    return given


def _absolute(run: RecordedRun, name: str, text: str) -> str | None:
    if Path(text).is_absolute():
        return text
    # A single command's run of an older flowrun has the path as it was typed; its input says more.
    inputs = run.steps[0].inputs if not run.is_pipeline and run.steps else {}
    uri = inputs[name].uri if name in inputs else ""
    return uri if Path(uri).is_absolute() else None


def _envs(run: RecordedRun) -> Iterator[tuple[str, GivenEnv]]:
    for step in run.steps:
        if step.env is not None:
            is_baked = step.env.backend == DOCKER and BUILD_IMAGE_TAG in run.tags
            lock = None if step.env.backend == LOCAL or is_baked else step.env.lock
            yield step.id, GivenEnv(step.env.backend, lock)


def _lacking(run: RecordedRun) -> Iterator[str]:
    if DOCKER_ARGS_TAG in run.tags:
        # Not taken from a record: they may open this machine to the container.
        yield f"the right to --docker-args, which were {run.tags[DOCKER_ARGS_TAG]}"
    for step in run.steps:
        if step.kind != "command":
            continue
        if step.env is None:
            yield f"step '{step.id}': its environment"
        elif step.env.lock is None:
            yield f"step '{step.id}': the lock of its environment"
        if step.source.commit is not None and step.source.commit_time_s is None:
            yield f"step '{step.id}': the time of its commit (SOURCE_DATE_EPOCH)"
