"""`flowrun verify`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from flowrun.cli.observing import observer_of, progress_of
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.run_options import EntryPoint, IsQuiet, Jobs, ParamList, Version, parse_params
from flowrun.cli.tables import printable
from flowrun.errors import FlowrunError, StoreError
from flowrun.proof.verify.junit import report_to_junit
from flowrun.proof.verify.report import Report, Verdict, report_to_json
from flowrun.proof.verify.text import report_lines, report_to_markdown
from flowrun.verification import verify

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXIT_DIFFERENT = 1
EXIT_UNDONE = 3
EXIT_BY_SIGNAL = 128


@app.command("verify")
def verify_command(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(metavar="RUN|URI", help="A run (id, first digits, latest), or a project."),
    ],
    entry_point: EntryPoint = "main",
    version: Version = None,
    param_list: ParamList = None,
    repeat: Annotated[
        int, typer.Option(min=1, help="Execute so often, to see how far numbers vary.")
    ] = 1,
    reuse_envs: Annotated[
        bool, typer.Option("--reuse-envs", help="Take environments that are there.")
    ] = False,
    relock: Annotated[
        bool, typer.Option("--relock", help="Resolve environments anew, not from recorded locks.")
    ] = False,
    env_manager: Annotated[
        str | None, typer.Option(help="Of a project: local, virtualenv, uv or conda.")
    ] = None,
    jobs: Jobs = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as JUnit XML.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as Markdown.")
    ] = None,
    quiet: IsQuiet = False,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")
    ] = False,
) -> None:
    """Execute a recorded run again and compare it step by step.

    Exit code 0: the same; 1: a difference; 3: it could not be done.
    """
    settings = settings_of(ctx, tracking_uri)
    params = parse_params(param_list or [])
    with (
        observer_of(settings, shows_output=not quiet, is_silent=as_json) as observer,
        _told_in(junit, markdown, target, entry_point),
    ):
        report = verify(
            target,
            entry_point,
            version=version,
            params=params,
            repeat=repeat,
            reuse_envs=reuse_envs,
            relock=relock,
            env_manager=env_manager,
            jobs=jobs,
            observer=observer,
            settings=settings,
            progress=progress_of(is_silent=as_json),
        )
    if as_json:
        typer.echo(json.dumps(report_to_json(report), indent=2))
    else:
        typer.echo("\n" + printable("\n".join(report_lines(report))))
    _write(junit, report_to_junit(report))
    _write(markdown, report_to_markdown(report))
    raise typer.Exit(report_exit_code(report))


def report_exit_code(report: Report) -> int:
    """Give the exit code for what a verification found."""
    if report.cancelled_by is not None:
        return EXIT_BY_SIGNAL + report.cancelled_by
    match report.verdict:
        case Verdict.SAME:
            return 0
        case Verdict.DIFFERENT:
            return EXIT_DIFFERENT
        case _:
            return EXIT_UNDONE


@contextmanager
def _told_in(
    junit: Path | None, markdown: Path | None, target: str, entry_point: str
) -> Iterator[None]:
    """Say in the reports as well why a verification could not be done."""
    try:
        yield
    except FlowrunError as error:
        report = Report(
            Verdict.UNDONE, target, "", entry_point, target, None, None, problem=str(error)
        )
        _write(junit, report_to_junit(report))
        _write(markdown, report_to_markdown(report))
        raise


def _write(file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error
