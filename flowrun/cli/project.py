"""`flowrun schema` and `flowrun init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import flowrun
from flowrun.errors import UsageError
from flowrun.spec.schema import json_schema

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the project file, for editors.

    In an editor with a YAML language server, save it beside the project and begin the file with
    `# yaml-language-server: $schema=mlproject.schema.json`.
    """
    typer.echo(json_schema())


@app.command("init")
def init_command(
    directory: Annotated[Path, typer.Argument(help="Where to make it; must be empty or new.")],
    template: Annotated[str, typer.Option(help="Which template; see the list below.")] = "pipeline",
) -> None:
    """Make a new project from a template.

    pipeline: prepare data, train a matrix of models, pick the best, register and promote it.
    """
    source = templates_dir() / "project" / template
    if not template.isidentifier() or not source.is_dir():
        known = ", ".join(sorted(path.name for path in source.parent.iterdir() if path.is_dir()))
        raise UsageError(f"there is no template '{template}'; there is: {known}")
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty", "Name a directory that is new or empty.")
    for path in sorted(source.rglob("*")):
        if path.is_file():
            target = directory / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8")
            name = directory.resolve().name
            target.write_text(text.replace("PROJECT_NAME", name), encoding="utf-8")
            typer.echo(f"made {target}")
    typer.echo(f"\nTry it:  flowrun plan {directory}\n         flowrun run {directory}")


def templates_dir() -> Path:
    """Give the folder of templates: in the installed package, else in the checkout."""
    package = Path(flowrun.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"
