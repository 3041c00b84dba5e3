"""What `flowrun run` says at the end: what ran, how long, the metrics, and where to look."""

from __future__ import annotations

import json

import typer

from flowrun.cli.tables import print_rows
from flowrun.engine.console import duration_text, metrics_text
from flowrun.engine.events import StepEnded
from flowrun.engine.run_outcome import RunOutcome
from flowrun.settings import Settings
from flowrun.sources.credentials import without_credentials
from flowrun.tracking.entities import RunStatus

MAX_ROWS = 40


def print_summary(
    outcome: RunOutcome, settings: Settings, *, as_json: bool, is_resumable: bool
) -> None:
    """Print the end of a run, and if it was no good one, how to go on with it."""
    if as_json:
        typer.echo(json.dumps(outcome_to_json(outcome), indent=2))
        return
    ended = list(outcome.steps.values())
    typer.echo("")
    if len(ended) > 1:
        print_rows(("step", "status", "time", "result"), _rows(ended), as_json=False)
        typer.echo("")
    print_end(outcome, settings, resume="flowrun resume" if is_resumable else None)


def print_end(outcome: RunOutcome, settings: Settings, *, resume: str | None) -> None:
    """Print how a run ended as a whole, and where to look.

    Args:
        outcome: of the run.
        settings: say where it is recorded.
        resume: the command that goes on with it, if one does.
    """
    flag = _flag(settings)
    words = {RunStatus.FINISHED: "finished", RunStatus.KILLED: "was cancelled"}
    is_pending = outcome.pending and outcome.status is RunStatus.FINISHED
    typer.echo(
        f"run {outcome.run_id} "
        f"{'waits for an approval' if is_pending else words.get(outcome.status, 'FAILED')} "
        f"{'after' if is_pending else 'in'} {duration_text(outcome.duration_ms)}"
    )
    if outcome.run_id:
        typer.echo(f"  all about it   flowrun runs show {outcome.run_id}{flag}")
    for step in outcome.steps.values():
        if step.status == "failed" and not step.is_tolerated and step.run_id:
            typer.echo(f"  what it said   flowrun runs logs {step.run_id}{flag}   ({step.step_id})")
    for pending in outcome.pending:
        typer.echo(f"  pending        {pending}{flag}")
    if resume and outcome.run_id and (is_pending or outcome.status is not RunStatus.FINISHED):
        typer.echo(f"  to go on       {resume} {outcome.run_id}{flag}")
    for version in outcome.versions:
        typer.echo(f"  model          flowrun models show {version}{flag}")
    typer.echo(f"  kept in        {_place(settings)}")


def _flag(settings: Settings) -> str:
    """Give the flag that the commands shown need, if the variables don't say the same."""
    names = ("FLOWRUN_TRACKING_URI", "MLFLOW_TRACKING_URI")
    known = {settings.variables.get(name) for name in names}
    return "" if settings.tracking_uri in {None, *known} else f" --tracking-uri {_place(settings)}"


def _place(settings: Settings) -> str:
    uri = settings.tracking_uri
    return str(settings.home) if uri is None else without_credentials(uri)


def outcome_to_json(outcome: RunOutcome) -> dict[str, object]:
    """Give a run's outcome for programs."""
    return {
        "run_id": outcome.run_id,
        "status": outcome.status.value,
        "duration_ms": outcome.duration_ms,
        "model_versions": list(outcome.versions),
        "pending": list(outcome.pending),
        "steps": [
            {
                "id": step.step_id,
                "status": step.status.value,
                "run_id": step.run_id,
                "duration_ms": step.duration_ms,
                "detail": step.detail,
                "attempts": len(step.attempts) or int(_ran(step)),
                "reused_from": step.reused_from,
                "why": step.why,
                "metrics": dict(step.metrics),
            }
            for step in outcome.steps.values()
        ],
    }


def _ran(step: StepEnded) -> bool:
    return step.run_id is not None and step.reused_from is None


def _rows(ended: list[StepEnded]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "step": step.step_id,
            "status": "reused" if step.reused_from else step.status.value,
            "time": duration_text(step.duration_ms) if _ran(step) else "",
            "result": step.detail or metrics_text(step.metrics, step.named),
        }
        for step in ended[:MAX_ROWS]
    ]
    if len(ended) > MAX_ROWS:
        rows.append({"step": f"and {len(ended) - MAX_ROWS} more"})
    return rows
