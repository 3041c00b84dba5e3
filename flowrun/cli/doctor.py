"""`flowrun doctor`: looks whether everything flowrun needs is there, and says what to do if not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import docker
import typer
import uv
from docker.errors import DockerException

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import print_rows
from flowrun.engine.services import Home
from flowrun.errors import FlowrunError
from flowrun.settings import Settings
from flowrun.valueclass import valueclass
from flowrun.version import __version__

app = typer.Typer(rich_markup_mode=None, add_completion=False)

EXIT_SURROUNDINGS = 3
ENOUGH_DISK_BYTES = 1 << 30
PROBE_TIMEOUT_S = 20


class Verdict(StrEnum):
    """What was found of one thing."""

    GOOD = "good"
    NOTE = "note"
    """Missing, but not needed for everything."""
    BAD = "BAD"


@valueclass
class Finding:
    """One line of the report."""

    thing: str
    verdict: Verdict
    found: str
    do: str = ""


@app.command("doctor")
def doctor_command(
    ctx: typer.Context,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look whether everything flowrun needs is there; exit code 3 if something is not."""
    findings = list(examine(settings_of(ctx, tracking_uri)))
    columns = ("thing", "verdict", "found", "do")
    print_rows(columns, [asdict(finding) for finding in findings], as_json=as_json)
    is_bad = any(finding.verdict is Verdict.BAD for finding in findings)
    raise typer.Exit(EXIT_SURROUNDINGS if is_bad else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield Finding("flowrun", Verdict.GOOD, f"{__version__} on Python {sys.version.split()[0]}")
    yield _program("git", "install git: projects are git trees", settings)
    yield _program("bash", "install bash: entry points are bash commands, as in MLflow", settings)
    yield _probe("uv", lambda: [uv.find_uv_bin(), "--version"], "reinstall flowrun", Verdict.BAD)
    yield _home(settings)
    yield _store(settings) if settings.tracking_uri is None else _server(settings)
    yield _docker()


def _program(name: str, do: str, settings: Settings) -> Finding:
    path = shutil.which(name, path=settings.variables.get("PATH"))
    if path is None:
        return Finding(name, Verdict.BAD, "not found on PATH", do)
    return _probe(name, lambda: [path, "--version"], do, Verdict.BAD)


def _probe(name: str, argv: Callable[[], list[str]], do: str, otherwise: Verdict) -> Finding:
    try:
        shown = subprocess.run(
            argv(), capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, otherwise, str(error), do)
    return Finding(name, Verdict.GOOD, shown.strip().splitlines()[0])


def _home(settings: Settings) -> Finding:
    home = settings.home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = home / f".doctor-{settings.user}"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(home).free
    except OSError as error:
        do = "make it writable, or set FLOWRUN_HOME to another folder"
        return Finding("home", Verdict.BAD, f"{home}: {error.strerror}", do)
    found = f"{home}, {free / 2**30:.1f} GiB free"
    if free < ENOUGH_DISK_BYTES:
        return Finding("home", Verdict.BAD, found, "make room, or set FLOWRUN_HOME elsewhere")
    return Finding("home", Verdict.GOOD, found)


def _store(settings: Settings) -> Finding:
    try:
        with api.open_default_stores(settings) as stores:
            stores.tracking.get_experiment(api.DEFAULT_EXPERIMENT_ID)
    except FlowrunError as error:
        return Finding("store", Verdict.BAD, error.message, error.hint or "")
    return Finding("store", Verdict.GOOD, str(Path(Home(settings.home).database_uri).name))


def _server(settings: Settings) -> Finding:
    began = time.monotonic()
    try:
        with api.open_default_stores(settings) as stores:
            uri = stores.uri
            stores.tracking.get_experiment(api.DEFAULT_EXPERIMENT_ID)
    except FlowrunError as error:
        return Finding("server", Verdict.BAD, error.message, error.hint or "")
    took_ms = (time.monotonic() - began) * 1000
    return Finding("server", Verdict.GOOD, f"{uri} answers in {took_ms:.0f} ms")


def _docker() -> Finding:
    try:
        client = docker.from_env(timeout=PROBE_TIMEOUT_S)
        version = client.version()["Version"]
        client.close()
    except DockerException as error:
        return Finding(
            "docker", Verdict.NOTE, f"no engine answers ({error})"[:80], "only docker_env needs it"
        )
    return Finding("docker", Verdict.GOOD, f"engine {version}")
