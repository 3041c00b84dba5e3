"""`flowrun export`: a run as one document, a provenance statement, or a crate."""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.project import templates_dir
from flowrun.errors import UsageError
from flowrun.proof.contents import RunFiles
from flowrun.proof.reading import RunReader
from flowrun.proof.record import record_bytes
from flowrun.proof.recorded import RecordedRun
from flowrun.proof.report.tails import last_lines
from flowrun.proof.slsa import statement_bytes
from flowrun.proof.states import step_states
from flowrun.proof.writing import new_file
from flowrun.stores import Stores, now_ms
from flowrun.tracking.entities import RunStatus

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MIB = 1 << 20
NOTHING = -1
"""No file is as small as this."""


class ExportFormat(StrEnum):
    """As what a run is written."""

    JSON = "json"
    SLSA = "slsa"
    RO_CRATE = "ro-crate"
    HTML = "html"


@app.command("export")
def export_command(
    ctx: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
    ],
    export_format: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="json: the canonical record. slsa: in-toto statement with SLSA provenance. "
            "ro-crate: a folder or zip with everything. html: a report to read, in one file.",
        ),
    ] = ExportFormat.JSON,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PLACE", help="File, folder or FILE.zip."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="ro-crate: describe files, copy none.")
    ] = False,
    max_file_mib: Annotated[
        int | None, typer.Option(min=0, help="ro-crate: larger files are only described.")
    ] = None,
    license_name: Annotated[
        str | None, typer.Option("--license", help="ro-crate: an SPDX id, or a URL.")
    ] = None,
    builder_id: Annotated[
        str | None, typer.Option(metavar="URI", help="slsa: who ran it, for those who trust them.")
    ] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write a run down for others: what it made, and from what."""
    settings = settings_of(ctx, tracking_uri)
    place = settings.cwd / output if output else None
    if export_format is ExportFormat.RO_CRATE:
        _named(place)
    with api.open_default_stores(settings) as stores:
        run, files = RunReader(stores).read(run_id), RunFiles(stores)
        match export_format:
            case ExportFormat.JSON:
                _write(record_bytes(run), place, replace=force)
            case ExportFormat.SLSA:
                _write(statement_bytes(run, files, builder_id), place, replace=force)
            case ExportFormat.HTML:
                _write(_report(stores, run), place, replace=force)
            case ExportFormat.RO_CRATE:
                limit = None if max_file_mib is None else max_file_mib * MIB
                limit = NOTHING if no_data else limit
                _write_crate(run, files, _named(place), force, limit, license_name)
    if place is not None:
        typer.echo(f"wrote {place}", err=True)


def _named(place: Path | None) -> Path:
    if place is None:
        raise UsageError("--format ro-crate writes a folder or a zip file", "Name it: -o PLACE")
    return place


def _write(content: bytes, place: Path | None, *, replace: bool) -> None:
    if place is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with new_file(place, replace=replace) as file:
        file.write(content)


def _report(stores: Stores, run: RecordedRun) -> bytes:
    # By name: only this format needs Jinja2 and networkx.
    report_bytes = importlib.import_module("flowrun.proof.report.page").report_bytes
    states = step_states(stores, stores.tracking.get_run(run.run_id))
    failed = [step for step in run.steps if step.status in {RunStatus.FAILED, RunStatus.KILLED}]
    made: bytes = report_bytes(
        run, states, last_lines(stores, failed), templates_dir() / "report", now_ms()
    )
    return made


def _write_crate(
    run: RecordedRun,
    files: RunFiles,
    place: Path,
    force: bool,  # noqa: FBT001 - handed on
    largest_bytes: int | None,
    license_name: str | None,
) -> None:
    # By name: only this format needs zip files and the grammar of projects.
    write_crate = importlib.import_module("flowrun.proof.crate.write").write_crate
    write_crate(
        run,
        files,
        place,
        replace=force,
        largest_bytes=largest_bytes,
        license_name=license_name,
    )
