"""`flowrun runs` and `flowrun experiments`."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.cancel import cancel_command
from flowrun.cli.diff import diff_command
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.run_view import (
    PARENT_TAG,
    print_run,
    print_steps,
    run_duration_text,
    state_to_json,
)
from flowrun.cli.tables import print_rows, printable, time_text
from flowrun.engine.console import run_metrics_text
from flowrun.errors import NotFoundError, UsageError
from flowrun.proof.reading import VERIFIES_TAG, RunReader
from flowrun.proof.states import StepState, step_states
from flowrun.spec.problems import listed
from flowrun.stores import Stores
from flowrun.tracking.entities import Experiment, Run, ViewType

app = typer.Typer(rich_markup_mode=None, add_completion=False)
runs = typer.Typer(help="List and show runs, and what they printed.", no_args_is_help=True)
experiments = typer.Typer(help="List experiments.", no_args_is_help=True)
app.add_typer(runs, name="runs")
app.add_typer(experiments, name="experiments")

AsJson = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
]

CHUNK_BYTES = 1 << 16


@runs.command("list")
def list_runs(
    ctx: typer.Context,
    experiment_name: Annotated[str | None, typer.Option(help="Of this experiment only.")] = None,
    filter_text: Annotated[
        str, typer.Option("--filter", help="MLflow's filter language: metrics.rmse < 0.7")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")] = 20,
    with_steps: Annotated[
        bool, typer.Option("--steps", help="With the runs of pipelines' steps.")
    ] = False,
    with_verifications: Annotated[
        bool, typer.Option("--verifications", help="With the runs that `flowrun verify` made.")
    ] = False,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        is_wanted = _wanted(
            with_steps=with_steps,
            # whoever asks for their experiment by name, asks for them
            with_verifications=with_verifications or experiment_name is not None,
        )
        found = _search(stores, experiment_name, filter_text, limit, is_wanted)
    if as_json:
        print_rows((), [run_to_json(run) for run in found], as_json=True)
        return
    rows = [
        {
            "run": run.info.run_id,
            "name": run.info.run_name,
            "entry_point": run.tags.get("mlflow.project.entryPoint", ""),
            "status": run.info.status.value,
            "started": time_text(run.info.start_time_ms),
            "time": run_duration_text(run.info),
            "commit": run.tags.get("mlflow.source.git.commit", "")[:10],
            "metrics": run_metrics_text(run),
        }
        for run in found
    ]
    columns = ("run", "name", "entry_point", "status", "started", "time", "commit", "metrics")
    print_rows(columns, rows, as_json=False)
    if filter_text and not rows and not with_steps:
        typer.echo("The runs of pipelines' steps were not looked at; --steps adds them.", err=True)


@runs.command("show")
def show_run(
    ctx: typer.Context,
    run_id: RunArgument,
    is_watched: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Show what happens until the run ends, and give its exit code."
        ),
    ] = False,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is recorded of a run; of a pipeline its steps as well, also while it runs."""
    if is_watched and as_json:
        raise UsageError("--watch and --json can't go together", "Leave one of them out.")
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores:
        run = RunReader(stores).find(run_id)
        if is_watched:
            # by name: who only looks at a run has no use for it
            watch = importlib.import_module("flowrun.cli.watch").watch
            raise typer.Exit(watch(stores, run, settings))
        steps = step_states(stores, run)
        if as_json:
            shown = [
                run_to_json(step.run) | {"reused": step.row.reused_from is not None}
                for step in _with_runs(steps)
                if step.run
            ]
            more = {"steps": shown, "states": [state_to_json(step) for step in steps]}
            typer.echo(json.dumps(run_to_json(run) | more, indent=2))
            return
        print_run(stores, run)
        print_steps(steps)


@runs.command("logs")
def show_logs(
    ctx: typer.Context,
    run_id: RunArgument,
    step: Annotated[
        str | None, typer.Argument(help="Of a pipeline: the step, as `runs show` names it.")
    ] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Print what a run's command printed: its standard output, then its standard error."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        run = RunReader(stores).find(run_id)
        steps = _with_runs(step_states(stores, run))
        if step is not None:
            _print_logs(stores, _step_run(run, steps, step), "")
            return
        for shown in steps:
            if shown.run is not None:
                _print_logs(stores, shown.run, shown.id)
        if not steps:
            _print_logs(stores, run, "")


runs.command("diff")(diff_command)
runs.command("cancel")(cancel_command)


@experiments.command("list")
def list_experiments(
    ctx: typer.Context,
    with_deleted: Annotated[bool, typer.Option("--all", help="With deleted ones.")] = False,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """List experiments."""
    view = ViewType.ALL if with_deleted else ViewType.ACTIVE_ONLY
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        found = stores.tracking.search_experiments(view=view, order_by=["experiment_id ASC"]).items
    rows = [_experiment_row(experiment, as_json=as_json) for experiment in found]
    print_rows(("id", "name", "stage", "created", "artifacts"), rows, as_json=as_json)


def run_to_json(run: Run) -> dict[str, object]:
    """Give a run for programs."""
    info = run.info
    return {
        "run_id": info.run_id,
        "name": info.run_name,
        "experiment_id": info.experiment_id,
        "status": info.status.value,
        "user": info.user_id,
        "start_time_ms": info.start_time_ms,
        "end_time_ms": info.end_time_ms,
        "artifact_uri": info.artifact_uri,
        "params": dict(run.params),
        "metrics": {key: metric.value for key, metric in run.metrics.items()},
        "tags": dict(run.tags),
        "models": [output.model_id for output in run.model_outputs],
    }


def _wanted(*, with_steps: bool, with_verifications: bool) -> Callable[[Run], bool]:
    """Give what tells which runs to list."""

    def is_wanted(run: Run) -> bool:
        is_step = PARENT_TAG in run.tags
        return (with_steps or not is_step) and (with_verifications or VERIFIES_TAG not in run.tags)

    return is_wanted


def _search(
    stores: Stores,
    name: str | None,
    filter_text: str,
    limit: int,
    is_wanted: Callable[[Run], bool],
) -> list[Run]:
    if name is None:
        ids = [e.experiment_id for e in stores.tracking.search_experiments().items]
    else:
        experiment = stores.tracking.get_experiment_by_name(name)
        if experiment is None:
            raise NotFoundError(f"there is no experiment '{name}'")
        ids = [experiment.experiment_id]
    found: list[Run] = []
    token: str | None = None
    while len(found) < limit:
        page = stores.tracking.search_runs(
            ids, filter_text=filter_text, max_results=max(limit, 100), page_token=token
        )
        found += [run for run in page.items if is_wanted(run)]
        token = page.next_page_token
        if token is None:
            break
    return found[:limit]


def _with_runs(steps: Sequence[StepState]) -> list[StepState]:
    """Give the steps that have a run, as they began, and then those that were reused."""
    found = [step for step in steps if step.run is not None]
    return sorted(found, key=lambda step: step.row.start_time_ms or sys.maxsize)


def _step_run(run: Run, steps: Sequence[StepState], name: str) -> Run:
    for step in steps:
        if step.run is not None and name in (step.id, step.run.info.run_id):
            return step.run
    known = listed(step.id for step in steps)
    hint = f"Its steps: {known}" if known else "It is no pipeline: leave the step out."
    raise NotFoundError(f"run {run.info.run_id} has no step '{name}'", hint)


def _print_logs(stores: Stores, run: Run, title: str) -> None:
    artifacts = stores.open_artifacts(run.info.artifact_uri)
    if title:
        typer.echo(f"--- {printable(title)}")
    for name, out in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        path = f"logs/{name}.log"
        if not artifacts.exists(path):
            continue
        with artifacts.open(path) as log:
            out.flush()
            while chunk := log.read(CHUNK_BYTES):
                out.buffer.write(chunk)
            out.buffer.flush()


def _experiment_row(experiment: Experiment, *, as_json: bool) -> dict[str, object]:
    created = experiment.creation_time_ms
    return {
        "id": experiment.experiment_id,
        "name": experiment.name,
        "stage": experiment.lifecycle_stage.value,
        "created": created if as_json else time_text(created),
        "artifacts": experiment.artifact_location,
    }
