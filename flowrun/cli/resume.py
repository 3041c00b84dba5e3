"""`flowrun resume`."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Annotated

import typer

from flowrun.cli.observing import GC_THRESHOLD, exit_with, observer_of, progress_of
from flowrun.cli.options import IsOffline, TrackingUri, settings_of
from flowrun.cli.run_options import (
    DockerArgs,
    IsFailFast,
    IsQuiet,
    Jobs,
    OutcomeAsJson,
    ParamList,
    WaitApproval,
    parse_docker_args,
    parse_params,
    parse_wait,
)
from flowrun.cli.summary import print_summary
from flowrun.resuming import resume

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("resume")
def resume_command(
    ctx: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
    ],
    param_list: ParamList = None,
    docker_args: DockerArgs = None,
    jobs: Jobs = None,
    fail_fast: IsFailFast = False,
    wait_approval: WaitApproval = None,
    tracking_uri: TrackingUri = None,
    offline: IsOffline = False,
    quiet: IsQuiet = False,
    as_json: OutcomeAsJson = False,
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
            wait_approval_s=parse_wait(wait_approval),
            observer=observer,
            settings=settings,
            progress=progress_of(is_silent=as_json),
        )
    with suppress(BrokenPipeError):  # the exit code is the run's, whoever reads about it
        print_summary(outcome, settings, as_json=as_json, is_resumable=True)
    raise exit_with(outcome)
