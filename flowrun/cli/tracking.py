"""`flowrun runs` and `flowrun experiments`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.diff import diff_command
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import print_facts, print_rows, printable, time_text
from flowrun.engine.console import duration_text, metrics_text
from flowrun.engine.outcome import CACHE_TAG, read_outcome
from flowrun.errors import NotFoundError
from flowrun.proof.reading import VERIFIES_TAG, RunReader
from flowrun.stores import Stores
from flowrun.tracking.entities import Experiment, Run, RunInfo, ViewType

app = typer.Typer(rich_markup_mode=None, add_completion=False)
runs = typer.Typer(help="List and show runs, and what they printed.", no_args_is_help=True)
experiments = typer.Typer(help="List experiments.", no_args_is_help=True)
app.add_typer(runs, name="runs")
app.add_typer(experiments, name="experiments")

AsJson = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
]

PARENT_TAG = "mlflow.parentRunId"
CHUNK_BYTES = 1 << 16
RUNS_AT_ONCE = 500


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
            "time": _duration(run.info),
            "commit": run.tags.get("mlflow.source.git.commit", "")[:10],
            "metrics": metrics_text({k: m.value for k, m in run.metrics.items()}),
        }
        for run in found
    ]
    columns = ("run", "name", "entry_point", "status", "started", "time", "commit", "metrics")
    print_rows(columns, rows, as_json=False)


@runs.command("show")
def show_run(
    ctx: typer.Context,
    run_id: RunArgument,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Show all that is recorded of a run; of a pipeline its steps as well."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        run = RunReader(stores).find(run_id)
        steps = _steps(stores, run)
        if as_json:
            shown = [run_to_json(step.run) | {"reused": step.is_reused} for step in steps]
            typer.echo(json.dumps(run_to_json(run) | {"steps": shown}, indent=2))
            return
        _print_run(stores, run)
        _print_steps(steps)


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
        steps = _steps(stores, run)
        if step is not None:
            _print_logs(stores, _step_run(run, steps, step), "")
            return
        for shown in steps:
            _print_logs(stores, shown.run, shown.id)
        if not steps:
            _print_logs(stores, run, "")


runs.command("diff")(diff_command)


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


def _children(stores: Stores, run: Run) -> list[Run]:
    """Give the runs of a pipeline's steps, in the order in which they began."""
    page = stores.tracking.search_runs(
        [run.info.experiment_id],
        filter_text=f"tags.`{PARENT_TAG}` = '{run.info.run_id}'",
        order_by=["attributes.start_time ASC"],
        max_results=50_000,
    )
    return list(page.items)


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of a pipeline, with the run that stands for it."""

    id: str
    run: Run
    is_reused: bool = False


def _steps(stores: Stores, run: Run) -> list[_Step]:
    """Give a pipeline's steps that ran, as they began, and then those that were reused."""
    children = _children(stores, run)
    steps = [_Step(each.tags.get("flowrun.step") or each.info.run_name, each) for each in children]
    if "flowrun.step" in run.tags:
        return steps
    rows = read_outcome(stores.open_artifacts(run.info.artifact_uri)) or {}
    reused = list(dict.fromkeys(row.reused_from for row in rows.values() if row.reused_from))
    found = {each.info.run_id: each for each in _runs_of_ids(stores, reused)}
    return steps + [
        _Step(step_id, found[row.reused_from], is_reused=True)
        for step_id, row in rows.items()
        if row.reused_from in found
    ]


def _runs_of_ids(stores: Stores, run_ids: list[str]) -> Iterator[Run]:
    ids = [e.experiment_id for e in stores.tracking.search_experiments().items] if run_ids else []
    run_ids = [run_id for run_id in run_ids if run_id.isalnum()]  # anyone may write to a store
    for start in range(0, len(run_ids), RUNS_AT_ONCE):
        some = ", ".join(f"'{each}'" for each in run_ids[start : start + RUNS_AT_ONCE])
        yield from stores.tracking.search_runs(
            ids, filter_text=f"attributes.run_id IN ({some})", max_results=RUNS_AT_ONCE
        ).items


def _step_run(run: Run, steps: list[_Step], name: str) -> Run:
    for step in steps:
        if name in (step.id, step.run.info.run_id):
            return step.run
    known = ", ".join(step.id for step in steps)
    raise NotFoundError(f"run {run.info.run_id} has no step '{name}'", f"Its steps: {known}")


def _print_run(stores: Stores, run: Run) -> None:
    info, tags = run.info, run.tags
    experiment = stores.tracking.get_experiment(info.experiment_id)
    typer.echo(f"run {info.run_id}  {printable(info.run_name)}  {info.status.value}")
    print_facts(
        [
            ("error", tags.get("flowrun.error")),
            ("experiment", f"{experiment.name} ({experiment.experiment_id})"),
            ("entry point", tags.get("mlflow.project.entryPoint")),
            ("step", tags.get("flowrun.step")),
            ("part of", tags.get(PARENT_TAG)),
            ("source", tags.get("mlflow.source.name")),
            ("repository", tags.get("mlflow.source.git.repoURL")),
            ("commit", _commit(tags)),
            ("tree", tags.get("flowrun.source.tree")),
            ("user", info.user_id),
            ("host", tags.get("flowrun.host")),
            ("started", time_text(info.start_time_ms)),
            ("ended", time_text(info.end_time_ms)),
            ("took", _duration(info)),
            ("command", tags.get("flowrun.command")),
            ("exit code", tags.get("flowrun.exit_code")),
            ("signal", tags.get("flowrun.signal")),
            ("peak memory", _mebibytes(tags.get("flowrun.peak_memory_bytes"))),
            ("cpu time", _seconds(tags.get("flowrun.cpu_time_s"))),
            ("environment", _environment(tags)),
            ("lock", tags.get("flowrun.env.lock")),
            ("artifacts", info.artifact_uri),
        ],
        indent="  ",
    )
    _print_section("parameters", list(run.params.items()))
    _print_section("metrics", [(k, m.value) for k, m in run.metrics.items()])
    _print_section("inputs", _digests(tags, "flowrun.input."))
    _print_section("outputs", _digests(tags, "flowrun.output."))
    _print_section("values", _prefixed(tags, "flowrun.value."))
    _print_section("models", [(o.model_id, "logged model") for o in run.model_outputs])
    files = [i.path for i in stores.open_artifacts(info.artifact_uri).list("flowrun")]
    _print_section("record", [(path.rpartition("/")[2], path) for path in files])


def _print_steps(steps: list[_Step]) -> None:
    if not steps:
        return
    typer.echo("  steps")
    rows = [
        {
            "step": step.id,
            "status": "reused" if step.is_reused else step.run.info.status.value,
            "time": "" if step.is_reused else _duration(step.run.info),
            "run": step.run.info.run_id,
            "metrics": metrics_text({k: m.value for k, m in step.run.metrics.items()}),
            "why": "" if step.is_reused else step.run.tags.get(CACHE_TAG, ""),
        }
        for step in steps
    ]
    print_rows(("step", "status", "time", "run", "metrics", "why"), rows, as_json=False)


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


def _print_section(title: str, facts: list[tuple[str, object]]) -> None:
    if facts:
        typer.echo(f"  {title}")
        print_facts(facts, indent="    ")


def _digests(tags: Mapping[str, str], prefix: str) -> list[tuple[str, object]]:
    shown: list[tuple[str, object]] = []
    for name, text in _prefixed(tags, prefix):
        data = json.loads(str(text))
        shown.append((name, f"{data['uri']}  sha256:{data['sha256']}  {data['size_bytes']} bytes"))
    return shown


def _prefixed(tags: Mapping[str, str], prefix: str) -> list[tuple[str, object]]:
    return [(k.removeprefix(prefix), v) for k, v in tags.items() if k.startswith(prefix)]


def _commit(tags: Mapping[str, str]) -> str | None:
    if "mlflow.source.git.commit" not in tags:
        return None
    parts = [tags["mlflow.source.git.commit"]]
    parts += [f"({tags[k]})" for k in ("flowrun.source.ref",) if k in tags]
    parts += ["with uncommitted changes"] if tags.get("mlflow.source.git.dirty") else []
    return " ".join(parts)


def _environment(tags: Mapping[str, str]) -> str | None:
    if "flowrun.env.backend" not in tags:
        return None
    key = tags.get("flowrun.env.key", "")
    return f"{tags['flowrun.env.backend']} {key[:12]}".strip()


def _mebibytes(text: str | None) -> str | None:
    return f"{int(text) / 2**20:.1f} MiB" if text else None


def _seconds(text: str | None) -> str | None:
    return f"{text} s" if text else None


def _duration(info: RunInfo) -> str:
    if info.end_time_ms is None:
        return ""
    return duration_text(info.end_time_ms - info.start_time_ms)


def _experiment_row(experiment: Experiment, *, as_json: bool) -> dict[str, object]:
    created = experiment.creation_time_ms
    return {
        "id": experiment.experiment_id,
        "name": experiment.name,
        "stage": experiment.lifecycle_stage.value,
        "created": created if as_json else time_text(created),
        "artifacts": experiment.artifact_location,
    }
