"""`flowrun run` and `flowrun plan`."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.observing import GC_THRESHOLD, exit_with, observer_of, progress_of
from flowrun.cli.options import IsOffline, TrackingUri, settings_of
from flowrun.cli.run_options import (
    DockerArgs,
    EntryPoint,
    ExperimentId,
    ExperimentName,
    From,
    IsFailFast,
    IsLocked,
    IsQuiet,
    Jobs,
    NoCache,
    OutcomeAsJson,
    ParamList,
    ParamsFile,
    Rerun,
    Until,
    Uri,
    Version,
    WaitApproval,
    check_backend,
    parse_docker_args,
    parse_params,
    parse_wait,
    selection_of,
)
from flowrun.cli.summary import print_summary
from flowrun.engine.cache.foresight import foreseen_text
from flowrun.engine.cache.verdicts import Foreseen
from flowrun.plan.draw import plan_to_dot, plan_to_json, plan_to_lines, plan_to_mermaid

app = typer.Typer(rich_markup_mode=None, add_completion=False)


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
    docker_args: DockerArgs = None,
    experiment_name: ExperimentName = None,
    experiment_id: ExperimentId = None,
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
    jobs: Jobs = None,
    fail_fast: IsFailFast = False,
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
    dry_run_registry: Annotated[
        bool,
        typer.Option(
            "--dry-run-registry", help="Only say what register and promote steps would do."
        ),
    ] = False,
    wait_approval: WaitApproval = None,
    quiet: IsQuiet = False,
    as_json: OutcomeAsJson = False,
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
            dry_run_registry=dry_run_registry,
            wait_approval_s=parse_wait(wait_approval),
            observer=observer,
            settings=settings,
            progress=progress_of(is_silent=as_json),
        )
    with suppress(BrokenPipeError):  # the exit code is the run's, whoever reads about it
        print_summary(outcome, settings, as_json=as_json, is_resumable=not in_place)
    raise exit_with(outcome)


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


def _foreseen_to_json(foreseen: Foreseen) -> dict[str, str | None]:
    reused = foreseen.reused
    return {
        "verdict": foreseen.verdict.value,
        "why": foreseen.why,
        "run_id": reused.run_id if reused else None,
    }
