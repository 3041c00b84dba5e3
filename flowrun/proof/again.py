"""A recorded run, planned once more: same trees, same parameters, same environments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.engine.digest import digest_of
from flowrun.engine.local_paths import local_path_of, scheme_of
from flowrun.engine.masking import MASK
from flowrun.engine.planning import PlannedProject, Planner
from flowrun.engine.request import GivenEnv
from flowrun.envs.manager import DOCKER, LOCAL
from flowrun.errors import NotRepeatableError, SourceError
from flowrun.proof.recorded import RecordedContent, RecordedRun
from flowrun.proof.sources import RecordedSources
from flowrun.sources.cache import SourceCache
from flowrun.spec.load import load_project
from flowrun.spec.project import ParameterType

BUILD_IMAGE_TAG = "flowrun.build_image"
DOCKER_ARGS_TAG = "flowrun.docker_args"


@dataclass(frozen=True, slots=True)
class ChangedInput:
    """A file outside of the project that is not what it was."""

    step_id: str
    name: str
    recorded: RecordedContent
    found_sha256: str | None
    """None: it is gone."""

    def __str__(self) -> str:
        """Say it in one line."""
        what = f"step '{self.step_id}': input '{self.name}', {self.recorded.uri},"
        if self.found_sha256 is None:
            return f"{what} is gone"
        return (
            f"{what} has changed: its sha256 was {self.recorded.sha256}, "
            f"and is {self.found_sha256} now"
        )


@dataclass(frozen=True, slots=True)
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
) -> Again:
    """Plan a recorded run once more; nothing is executed.

    Args:
        run: ended or not.
        sources: find its projects.
        cache: where they are kept.
        cwd: what a relative path in `params` starts from.
        params: values that take the place of recorded ones.

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
    changed = tuple(_changed_inputs(run, cache.project_dir(own), cwd, params))
    if any(each.found_sha256 is None for each in changed):
        raise changed_error(changed)
    planner = Planner(cache, cwd, find=sources)
    planned = planner.plan(run.source.uri, run.entry_point, run.source.ref, {**given, **params})
    return Again(
        run,
        planned,
        dict(_envs(run)),
        changed,
        _fetched_inputs(run),
        BUILD_IMAGE_TAG in run.tags,
        tuple(_lacking(run)),
    )


def changed_error(changed: Iterable[ChangedInput]) -> NotRepeatableError:
    """Say which files are not what they were."""
    return NotRepeatableError(
        "\n".join(map(str, changed)), "Put it back as it was, or give another one: -P NAME=PATH."
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


def _changed_inputs(
    run: RecordedRun, directory: Path, cwd: Path, instead: Mapping[str, str]
) -> Iterator[ChangedInput]:
    """Compare the files of this machine that steps read with what they were."""
    replaced = {run.params[name] for name in instead if name in run.params}
    seen: dict[Path, str | None] = {}
    for step in run.steps:
        for name, content in step.inputs.items():
            path = local_path_of(content.uri)
            is_replaced = content.uri in replaced or (not run.is_pipeline and name in instead)
            if (
                path is None
                or is_replaced
                or (not path.is_absolute() and (directory / path).exists())
            ):
                continue
            path = cwd / path
            if path not in seen:
                seen[path] = digest_of(path).sha256 if path.exists() else None
            if seen[path] != content.sha256:
                yield ChangedInput(step.id, name, content, seen[path])


def _fetched_inputs(run: RecordedRun) -> dict[str, str]:
    contents = (content for step in run.steps for content in step.inputs.values())
    return {each.uri: each.sha256 for each in contents if local_path_of(each.uri) is None}


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
