"""The inputs of a recorded run that lie outside of its projects: are they what they were?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from flowrun.engine.cache.digest import digest_of
from flowrun.engine.prepare.planning import PlannedProject
from flowrun.engine.steps.local_paths import local_path_of
from flowrun.errors import NotRepeatableError
from flowrun.proof.recorded import RecordedContent, RecordedRun
from flowrun.valueclass import valueclass


@valueclass
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


class ChangedInputsError(NotRepeatableError):
    """Files that a recorded run read are not what they were."""


def changed_error(changed: Iterable[ChangedInput]) -> ChangedInputsError:
    """Say which files are not what they were."""
    return ChangedInputsError(
        "\n".join(map(str, changed)), "Put it back as it was, or give another one: -P NAME=PATH."
    )


def changed_inputs(
    run: RecordedRun, instead: Mapping[str, str], places: Callable[[str, Path], Path | None]
) -> Iterator[ChangedInput]:
    """Compare the files of this machine that steps read with what they were.

    Args:
        run: says what they were.
        instead: parameters that take the place of recorded ones.
        places: step and path, as it was given, to where it lies now; None: not to be compared.
    """
    replaced = {run.params[name] for name in instead if name in run.params}
    seen: dict[Path, str | None] = {}
    for step in run.steps:
        for name, content in step.inputs.items():
            is_replaced = content.uri in replaced or (not run.is_pipeline and name in instead)
            given = None if is_replaced else local_path_of(content.uri)
            path = places(step.id, given) if given is not None else None
            if path is None:
                continue
            if path not in seen:
                seen[path] = digest_of(path).sha256 if path.exists() else None
            if seen[path] != content.sha256:
                yield ChangedInput(step.id, name, content, seen[path])


def absolute_place(step_id: str, path: Path) -> Path | None:
    """Give where an absolute path lies; nothing for a relative one."""
    del step_id
    return path if path.is_absolute() else None


def relative_places(planned: PlannedProject, cwd: Path) -> Callable[[str, Path], Path | None]:
    """Give where relative paths lie: in the step's project, which is the same, or where we are."""
    projects = {step.id: step.project for step in planned.plan.steps}

    def place(step_id: str, path: Path) -> Path | None:
        directory = planned.projects[projects[step_id]].directory if step_id in projects else cwd
        is_elsewhere = path.is_absolute() or (directory / path).exists()
        return None if is_elsewhere else cwd / path

    return place


def fetched_inputs(run: RecordedRun) -> dict[str, str]:
    """Give what came from elsewhere: URI to sha256."""
    contents = (content for step in run.steps for content in step.inputs.values())
    return {each.uri: each.sha256 for each in contents if local_path_of(each.uri) is None}
