"""`flowrun import`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from flowrun.cli.progress import Progress
from flowrun.cli.tables import print_rows, printable
from flowrun.engine.services import Home
from flowrun.errors import UnsupportedError
from flowrun.importing.importer import Choices, Watch, import_all
from flowrun.importing.naming import Naming
from flowrun.importing.open import open_source
from flowrun.importing.source import Source
from flowrun.importing.survey import survey
from flowrun.importing.target import Target, open_target
from flowrun.importing.verifying import Verdict, verify
from flowrun.settings import Settings
from flowrun.tracking.checks import check_artifact_location
from flowrun.tracking.uri import is_server, with_absolute_path

app = typer.Typer(rich_markup_mode=None, add_completion=False)
imports = typer.Typer(help="Take over what a store of MLflow's holds.", no_args_is_help=True)
app.add_typer(imports, name="import")

SHOWN_PROBLEMS = 20
EXIT_DIFFERENT = 1


class ArtifactChoice(StrEnum):
    """What happens to artifacts."""

    COPY = "copy"
    REFERENCE = "reference"


@imports.callback()
def group() -> None:
    """Take over what a store of MLflow's holds."""


@imports.command("mlflow")
def import_mlflow(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="sqlite:///mlflow.db, ./mlruns or a server's http://...; only read.",
        ),
    ],
    artifacts: Annotated[
        ArtifactChoice,
        typer.Option(help="Copy artifacts here, or leave them and keep their addresses."),
    ] = ArtifactChoice.COPY,
    artifacts_from: Annotated[
        str | None,
        typer.Option(
            help="A directory or URL: artifacts that lie there may be read as well, and those that "
            "an MLflow server kept (mlflow-artifacts:/) are looked for there."
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Put before the names of experiments and registered models.")
    ] = "",
    merge: Annotated[
        bool, typer.Option("--merge", help="Let experiments of the same name take the runs in.")
    ] = False,
    backend_store_uri: Annotated[
        str | None,
        typer.Option(help="The store to import into, as for `flowrun server`; default: flowrun's."),
    ] = None,
    artifacts_destination: Annotated[
        str | None,
        typer.Option(help="Where copied artifacts go, as for `flowrun server`."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, tell what it is, write nothing.")
    ] = False,
) -> None:
    """Take over experiments, runs, models, the registry and artifacts.

    What is here already is left as it is, so an import that was interrupted is just started again.
    At the end both sides are read and compared; the exit code is 1 if anything is left out or
    differs.
    """
    settings: Settings = ctx.obj
    problems: list[str] = []
    home = Home(settings.home)
    home.make()
    uri = with_absolute_path(
        backend_store_uri or _given_store(settings) or home.database_uri, settings.cwd
    )
    destination = check_artifact_location(artifacts_destination or str(home.artifacts))
    naming = Naming(prefix, merge)
    with (
        Progress(settings.is_terminal) as progress,
        open_target(uri, destination) as target,
        open_source(
            source,
            cwd=settings.cwd,
            artifacts_from=artifacts_from,
            variables=settings.variables,
            on_problem=problems.append,
        ) as opened,
    ):
        for note in opened.notes():
            progress.note(f"note: {printable(note)}")
        if dry_run:
            verdict = survey(opened, target, naming, progress)
        else:
            choices = Choices(naming, artifacts is ArtifactChoice.COPY, problems.append)
            verdict = _import_and_verify(opened, target, choices, progress)
    print_rows(
        ("what", "source", "here"),
        [
            {"what": kind, "source": count, "here": verdict.here[kind]}
            for kind, count in verdict.there.items()
        ],
        as_json=False,
    )
    _show("left out", problems)
    _show("different", verdict.differences)
    if problems or (verdict.differences and not dry_run):
        raise typer.Exit(EXIT_DIFFERENT)


def _given_store(settings: Settings) -> str | None:
    """Give the store that --tracking-uri names; MLflow's variable may well name the source."""
    uri = settings.tracking_uri
    if uri is None or uri == settings.variables.get("MLFLOW_TRACKING_URI"):
        return None
    if is_server(uri):
        raise UnsupportedError(
            f"{uri}: nothing can be imported through a server, which gives ids of its own",
            "Import where its store is: --backend-store-uri names it as for `flowrun server`.",
        )
    return uri


def _import_and_verify(source: Source, target: Target, choices: Choices, watch: Watch) -> Verdict:
    roots = import_all(source, target, choices, watch)
    return verify(source, target, choices.naming, roots, watch)


def _show(title: str, lines: list[str]) -> None:
    """Print problems, each once; of very many the first."""
    unique = list(dict.fromkeys(lines))
    for line in unique[:SHOWN_PROBLEMS]:
        typer.echo(f"{title}: {printable(line)}", err=True)
    if len(unique) > SHOWN_PROBLEMS:
        typer.echo(f"{title}: {len(unique) - SHOWN_PROBLEMS} more", err=True)
