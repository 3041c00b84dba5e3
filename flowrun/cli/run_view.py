"""What `flowrun runs show` prints: the facts of a run, and a pipeline's steps as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import typer

from flowrun.cli.tables import print_facts, print_rows, printable, time_text
from flowrun.engine.cache.temporary import REMOVED
from flowrun.engine.console import duration_text, run_metrics_text
from flowrun.proof.states import StepState
from flowrun.stores import Stores
from flowrun.tracking.entities import Run, RunInfo

PARENT_TAG = "mlflow.parentRunId"


def print_run(stores: Stores, run: Run) -> None:
    """Print all that is recorded of a run itself."""
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
            ("took", run_duration_text(info)),
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


def print_steps(states: Sequence[StepState]) -> None:
    """Print how each step of a pipeline is."""
    if not states:
        return
    typer.echo("  steps")
    columns = ["step", "status", "attempts", "time", "run", "result", "why"]
    if all(state.row.attempts <= 1 for state in states):
        columns.remove("attempts")
    rows = [row for state in states for row in (_row(state), *_attempt_rows(state))]
    print_rows(columns, rows, as_json=False, indent="    ")


def state_to_json(state: StepState) -> dict[str, object]:
    """Give how a step is, for programs."""
    row = state.row
    return {
        "step": state.id,
        "status": row.status,
        "run_id": row.run_id,
        "reused_from": row.reused_from,
        "attempts": row.attempts,
        "start_time_ms": row.start_time_ms,
        "duration_ms": row.duration_ms,
        "detail": row.detail,
        "why": row.why,
        "failed_attempts": [asdict(attempt) for attempt in row.failed_attempts],
    }


def run_duration_text(info: RunInfo) -> str:
    """Say how long a run took; nothing of one that is not over."""
    if info.end_time_ms is None:
        return ""
    return duration_text(info.end_time_ms - info.start_time_ms)


def _row(state: StepState) -> dict[str, object]:
    row, run = state.row, state.run
    did = row.detail if row.status == "succeeded" else ""
    took_ms = row.duration_ms if row.run_id and not row.reused_from else None
    return {
        "step": state.id,
        "status": state.word,
        "attempts": row.attempts or "",
        "time": "" if took_ms is None else duration_text(took_ms),
        "run": row.run_id or "",
        "result": did or (run_metrics_text(run) if run else ""),
        "why": row.why if row.status == "succeeded" else row.detail or row.why,
    }


def _attempt_rows(state: StepState) -> list[dict[str, object]]:
    """Give the attempts that do not stand for a step, below it."""
    return [
        {
            "step": f"  attempt {attempt.number}",
            "status": "failed" if attempt.detail else "succeeded",
            "time": duration_text(attempt.duration_ms),
            "run": attempt.run_id or "",
            "why": attempt.detail,
        }
        for attempt in state.row.failed_attempts
    ]


def _print_section(title: str, facts: list[tuple[str, object]]) -> None:
    if facts:
        typer.echo(f"  {title}")
        print_facts(facts, indent="    ")


def _digests(tags: Mapping[str, str], prefix: str) -> list[tuple[str, object]]:
    shown: list[tuple[str, object]] = []
    for name, text in _prefixed(tags, prefix):
        data = json.loads(str(text))
        removed = f"  removed {time_text(data[REMOVED])}" if data.get(REMOVED) else ""
        facts = f"{data['uri']}  sha256:{data['sha256']}  {data['size_bytes']} bytes{removed}"
        shown.append((name, facts))
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
