"""`flowrun resume`."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Annotated

import typer

from flowrun.cli.options import IsOffline, TrackingUri, settings_of
from flowrun.cli.run import (
    GC_THRESHOLD,
    ParamList,
    observer_of,
    parse_docker_args,
    parse_params,
    progress_of,
)
from flowrun.cli.summary import print_summary
from flowrun.engine.exit_codes import exit_code_of
from flowrun.resuming import resume

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("resume")
def resume_command(
    ctx: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
    ],
    param_list: ParamList = None,
    docker_args: Annotated[
        list[str] | None, typer.Option("--docker-args", "-A", help="NAME[=VALUE] for docker run.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Steps at the same time; default: processors."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first failed step.")
    ] = False,
    tracking_uri: TrackingUri = None,
    offline: IsOffline = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not show what the steps print.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else.")
    ] = False,
) -> None:
    """Go on with a run that failed, was cancelled or killed; what has finished is not run again."""
    gc.set_threshold(*GC_THRESHOLD)
    settings = settings_of(ctx, tracking_uri, offline=offline)
    with observer_of(settings, shows_output=not quiet, is_silent=as_json) as observer:
        outcome = resume(
            run_id,
            params=parse_params(param_list or []),
            jobs=jobs,
            fail_fast=fail_fast,
            docker_args=parse_docker_args(docker_args or []),
            observer=observer,
            settings=settings,
            progress=progress_of(is_silent=as_json),
        )
    with suppress(BrokenPipeError):  # the exit code is the run's, whoever reads about it
        print_summary(outcome, settings, as_json=as_json, is_resumable=True)
    code = exit_code_of(
        outcome.status, outcome.cancelled_by, is_surroundings=outcome.is_surroundings
    )
    raise typer.Exit(code)
