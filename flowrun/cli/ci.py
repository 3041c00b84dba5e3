"""`flowrun ci`: writes a workflow for a CI system, which proves a project at each change."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flowrun.cli.own_origin import own_requirement, requirement_for
from flowrun.cli.project import templates_dir
from flowrun.errors import UsageError
from flowrun.settings import Settings
from flowrun.spec.load import find_project_file, load_project
from flowrun.spec.project import EnvKind, EnvSpec, Project

app = typer.Typer(rich_markup_mode=None, add_completion=False)
ci = typer.Typer(help="Let a CI system prove a project.", no_args_is_help=True)
app.add_typer(ci, name="ci")


class CiSystem(StrEnum):
    """For which a workflow can be written."""

    GITHUB = "github"
    GITLAB = "gitlab"


FILES = {CiSystem.GITHUB: ".github/workflows/flowrun.yml", CiSystem.GITLAB: ".gitlab-ci.yml"}
"""Where each system looks, from the repository's top."""
_ELSEWHERE = {
    CiSystem.GITHUB: "Give --force to replace it, or -o .github/workflows/OTHER.yml.",
    CiSystem.GITLAB: (
        "Give --force to replace it; or -o ci/flowrun.yml, and add `include: {local: "
        "ci/flowrun.yml}` to it."
    ),
}
"""What to do about a file that is there."""


@ci.callback()
def _group() -> None:
    """Let a CI system prove a project."""


@ci.command("init")
def init_command(
    ctx: typer.Context,
    system: Annotated[CiSystem, typer.Argument(help="The CI system.")],
    project: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
    flowrun_from: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where the CI system installs flowrun from: git+https://...@COMMIT, the https "
            "address of a wheel, or a wheel in the repository; default: where this one came from.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a workflow that checks the lock, runs the project, runs it again and compares.

    It is an ordinary file: read it, change it, commit it.
    """
    settings: Settings = ctx.obj
    folder = (settings.cwd / project).resolve()
    repository = _repository_of(folder)
    if find_project_file(folder) is None:
        raise UsageError(f"{folder}: there is no MLproject", "Name the project's folder.")
    place = flowrun_from or own_requirement()
    requirement = requirement_for(place, repository, _extras(load_project(folder), folder))
    target = settings.cwd / output if output else repository / FILES[system]
    if target.exists() and not force:
        raise UsageError(f"{target} exists", _ELSEWHERE[system])
    text = (templates_dir() / "ci" / f"{system.value}.yml").read_text(encoding="utf-8")
    for word, value in (
        # With `./` in front no folder is taken for an option.
        ("PROJECT_FOLDER", f"./{folder.relative_to(repository).as_posix()}".removesuffix("/.")),
        ("FLOWRUN_REQUIREMENT", requirement),
    ):
        text = text.replace(word, json.dumps(_plain(value)))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    typer.echo(f"made {target}")
    typer.echo(f"It installs {requirement}.")
    if not (folder / "MLproject.lock").exists():
        typer.echo(f"\nIt asks for a lock. Make one:  flowrun lock {project}")


def _repository_of(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    raise UsageError(f"{folder} is in no git repository", "CI systems run what is committed.")


def _plain(text: str) -> str:
    """Refuse what a CI system would replace inside a value."""
    if "$" in text or not text.isprintable():
        raise UsageError(
            f"{text!r} can't stand in a CI file: '$' has a meaning there", "Rename the folder."
        )
    return text


def _extras(project: Project, folder: Path) -> list[str]:
    """Give the extras of flowrun's that the project's environments need."""
    return ["conda"] if any(_is_conda(env, folder) for env in _environments(project)) else []


def _environments(project: Project) -> list[EnvSpec]:
    found = [project.env]
    for entry_point in project.entry_points.values():
        each = [entry_point.env, *(step.env for step in entry_point.steps.values())]
        found += [env for env in each if env is not None]
    return found


def _is_conda(env: EnvSpec, folder: Path) -> bool:
    if env.kind is EnvKind.IMPLIED:
        has_conda = (folder / "conda.yaml").exists()
        return has_conda and not (folder / "python_env.yaml").exists()
    return env.kind is EnvKind.CONDA
