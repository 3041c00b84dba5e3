"""`flowrun run` and `flowrun plan`."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

import typer

from flowrun import api
from flowrun.cli.options import IsOffline, TrackingUri, settings_of
from flowrun.cli.summary import print_summary
from flowrun.engine.console import PlainConsole
from flowrun.engine.events import Observer
from flowrun.engine.exit_codes import exit_code_of
from flowrun.engine.foresight import foreseen_text
from flowrun.engine.verdicts import Foreseen
from flowrun.errors import UsageError
from flowrun.plan.draw import plan_to_dot, plan_to_json, plan_to_lines, plan_to_mermaid
from flowrun.plan.selection import Selection
from flowrun.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Uri = Annotated[
    str, typer.Argument(metavar="URI", help="Git URL, directory or zip; #subdir; runs:/ID.")
]
EntryPoint = Annotated[
    str, typer.Option("--entry-point", "-e", help="Entry point, or a script of the project.")
]
Version = Annotated[
    str | None,
    typer.Option("--version", "-v", help="Branch, tag, commit or refs/... of a git URI."),
]
ParamList = Annotated[
    list[str] | None, typer.Option("--param-list", "-P", metavar="NAME=VALUE", help="A parameter.")
]
ParamsFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Parameters, as YAML or JSON; -P goes before.")
]
IsLocked = Annotated[
    bool, typer.Option("--locked", help="Refuse to differ from the project's MLproject.lock.")
]

NoCache = Annotated[bool, typer.Option("--no-cache", help="Run every step, whatever ran before.")]
Rerun = Annotated[
    list[str] | None,
    typer.Option(metavar="STEP", help="Run this step in any case; may be given several times."),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Run this step and all after it in any case."),
]
Until = Annotated[
    str | None, typer.Option(metavar="STEP", help="Only what this step needs, and itself.")
]

GC_THRESHOLD = (100_000, 20, 20)
"""A plan of thousands of steps stays to the end: to look through it for garbage again and again
takes an eighth of the time."""


class PlanFormat(StrEnum):
    """How `flowrun plan` draws."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"


@app.command("run")
def run_command(
    ctx: typer.Context,
    uri: Uri,
    entry_point: EntryPoint = "main",
    version: Version = None,
    param_list: ParamList = None,
    params_file: ParamsFile = None,
    docker_args: Annotated[
        list[str] | None, typer.Option("--docker-args", "-A", help="NAME[=VALUE] for docker run.")
    ] = None,
    experiment_name: Annotated[
        str | None, typer.Option(help="Experiment to record into; made if it is new.")
    ] = None,
    experiment_id: Annotated[str | None, typer.Option(help="The same by its id.")] = None,
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="Where steps run: local.")
    ] = "local",
    backend_config: Annotated[
        str | None, typer.Option("--backend-config", "-c", help="JSON, or a file.json.")
    ] = None,
    env_manager: Annotated[
        str | None,
        typer.Option(help="local, virtualenv, uv or conda; default: what the project says."),
    ] = None,
    require_clean: Annotated[
        bool, typer.Option("--require-clean", help="Refuse code that is not exactly a commit.")
    ] = False,
    storage_dir: Annotated[
        Path | None, typer.Option(help="Where downloaded path parameters are put and stay.")
    ] = None,
    tracking_uri: TrackingUri = None,
    run_id: Annotated[str | None, typer.Option(help="Record into this existing run.")] = None,
    run_name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    build_image: Annotated[
        bool, typer.Option("--build-image", help="Run in an image with the project's files in it.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Steps at the same time; default: processors."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failed step.")
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Run in the project's own directory: not reproducible."),
    ] = False,
    locked: IsLocked = False,
    offline: IsOffline = False,
    no_cache: NoCache = False,
    rerun: Rerun = None,
    start: From = None,
    until: Until = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not show what the steps print.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else.")
    ] = False,
) -> None:
    """Run an entry point of a project and record it."""
    gc.set_threshold(*GC_THRESHOLD)
    settings = settings_of(ctx, tracking_uri, offline=offline)
    check_backend(backend, backend_config)
    params = parse_params(param_list or [])
    with observer_of(settings, shows_output=not quiet, is_silent=as_json) as observer:
        outcome = api.run(
            uri,
            entry_point,
            version=version,
            params=params,
            params_file=params_file,
            experiment_name=experiment_name,
            experiment_id=experiment_id,
            env_manager=env_manager,
            run_name=run_name,
            run_id=run_id,
            jobs=jobs,
            fail_fast=fail_fast,
            in_place=in_place,
            require_clean=require_clean,
            locked=locked,
            storage_dir=storage_dir,
            docker_args=parse_docker_args(docker_args or []),
            build_image=build_image,
            cache=not no_cache,
            selection=selection_of(rerun, start, until),
            observer=observer,
            settings=settings,
            progress=progress_of(is_silent=as_json),
        )
    with suppress(BrokenPipeError):  # the exit code is the run's, whoever reads about it
        print_summary(outcome, settings, as_json=as_json, is_resumable=not in_place)
    code = exit_code_of(
        outcome.status, outcome.cancelled_by, is_surroundings=outcome.is_surroundings
    )
    raise typer.Exit(code)


@app.command("plan")
def plan_command(
    ctx: typer.Context,
    uri: Uri,
    entry_point: EntryPoint = "main",
    version: Version = None,
    param_list: ParamList = None,
    params_file: ParamsFile = None,
    drawing: Annotated[
        PlanFormat, typer.Option("--format", help="How to draw it.")
    ] = PlanFormat.TREE,
    env_manager: Annotated[
        str | None, typer.Option(help="As for run: what steps would run in.")
    ] = None,
    locked: IsLocked = False,
    no_cache: NoCache = False,
    rerun: Rerun = None,
    start: From = None,
    until: Until = None,
    tracking_uri: TrackingUri = None,
    offline: IsOffline = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what would run or be reused, and why; run nothing."""
    gc.set_threshold(*GC_THRESHOLD)
    settings = settings_of(ctx, tracking_uri, offline=offline)
    preview = api.preview(
        uri,
        entry_point,
        version=version,
        params=parse_params(param_list or []),
        params_file=params_file,
        env_manager=env_manager,
        locked=locked,
        cache=not no_cache,
        selection=selection_of(rerun, start, until),
        settings=settings,
        progress=progress_of(is_silent=as_json),
    )
    plan = preview.planned.plan
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        foreseen = {name: _foreseen_to_json(each) for name, each in preview.foreseen.items()}
        typer.echo(json.dumps(plan_to_json(plan) | {"foreseen": foreseen}, indent=2))
        return
    match drawing:
        case PlanFormat.MERMAID:
            typer.echo(plan_to_mermaid(plan))
        case PlanFormat.DOT:
            typer.echo(plan_to_dot(plan))
        case PlanFormat.TREE:
            notes = {name: foreseen_text(each) for name, each in preview.foreseen.items()}
            typer.echo("\n".join(plan_to_lines(plan, notes if plan.is_pipeline else None)))


def selection_of(rerun: list[str] | None, start: str | None, until: str | None) -> Selection | None:
    """Give what the flags select; None for everything."""
    if not rerun and start is None and until is None:
        return None
    return Selection(until, start, tuple(rerun or ()))


def _foreseen_to_json(foreseen: Foreseen) -> dict[str, str | None]:
    reused = foreseen.reused
    return {
        "verdict": foreseen.verdict.value,
        "why": foreseen.why,
        "run_id": reused.run_id if reused else None,
    }


def parse_params(texts: list[str], flag: str = "-P") -> dict[str, str]:
    """Read `NAME=VALUE` texts of a flag; a name given twice is refused."""
    params: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text}: a parameter is given as NAME=VALUE")
        if name in params:
            raise UsageError(f"{flag} {name}=...: parameter '{name}' is given twice")
        params[name] = value
    return params


def parse_docker_args(texts: list[str]) -> dict[str, str]:
    """Read `NAME=VALUE` texts, or names alone, which are flags; a name given twice is refused."""
    arguments: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name in arguments:
            raise UsageError(f"--docker-args {text}: '{name}' is given twice")
        arguments[name] = value if equals else "true"
    return arguments


def check_backend(backend: str, config: str | None) -> None:
    """Refuse a backend that is not there, and a configuration that can't be read."""
    if backend != "local":
        raise UsageError(f"--backend {backend}: this version of flowrun runs steps locally only")
    if config is None:
        return
    try:
        text = Path(config).read_text(encoding="utf-8") if config.endswith(".json") else config
        data = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"--backend-config {config}: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"--backend-config {config}: must be a JSON object")


class _ClosingObserver(Observer, Protocol):
    def close(self) -> None:
        """Leave the terminal as it was."""


@contextmanager
def observer_of(settings: Settings, *, shows_output: bool, is_silent: bool) -> Iterator[Observer]:
    """Give what shows a run: lines in a pipe, something livelier on a terminal, or nothing."""
    if is_silent:
        yield api.SilentObserver()
    elif settings.is_terminal and shows_output:
        # by name: rich takes as long to import as a short step takes to run
        console = importlib.import_module("rich.console").Console()
        live: _ClosingObserver = importlib.import_module("flowrun.engine.live_console").LiveConsole(
            console
        )
        with closing(live):
            yield live
    else:
        yield PlainConsole(sys.stdout, shows_output=shows_output)


def progress_of(*, is_silent: bool) -> Callable[[str], None]:
    """Give what shows that something takes time before a run begins."""

    def tell(text: str) -> None:
        if not is_silent:
            with suppress(OSError):
                typer.echo(text, err=True)

    return tell
