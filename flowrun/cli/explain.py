"""`flowrun explain`: why the steps of a recorded run ran, or did not have to."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import print_facts, print_rows, printable
from flowrun.engine.cache.earlier import FINGERPRINT_TAG, MANIFEST_TAG
from flowrun.engine.record.outcome import CACHE_TAG
from flowrun.errors import NotFoundError
from flowrun.plan.fingerprint import Manifest
from flowrun.proof.reading import RunReader
from flowrun.proof.recorded import RecordedRun, RecordedStep
from flowrun.spec.problems import did_you_mean, listed

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command("explain")
def explain_command(
    ctx: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
    ],
    step: Annotated[str | None, typer.Argument(help="One step; by default all.")] = None,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Say why each step of a run ran, or which run stands for it; of one step, what decides it."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        run = RunReader(stores).read(run_id)
    if step is None:
        rows = [_row(run, each) for each in run.steps if each.kind == "command"]
        print_rows(("step", "what", "why"), rows, as_json=as_json)
        return
    found = _found(run, step)
    manifest = Manifest.parse(found.tags.get(MANIFEST_TAG, ""))
    lines = (
        {str(label): value for label, value in sorted(manifest.lines.items())} if manifest else {}
    )
    fingerprint = found.tags.get(FINGERPRINT_TAG)
    if as_json:
        data = {**_row(run, found), "fingerprint": fingerprint, "manifest": lines}
        typer.echo(json.dumps(data, indent=2))
        return
    row = _row(run, found)
    typer.echo(
        f"step {printable(found.id)} {row['what']}" + (f": {row['why']}" if row["why"] else "")
    )
    if manifest is None:
        typer.echo("  it did not end well, so nothing is kept for others")
        return
    print_facts([("fingerprint", fingerprint), *lines.items()], indent="  ")


def _row(run: RecordedRun, step: RecordedStep) -> dict[str, object]:
    outcome = run.outcomes.get(step.id)
    if outcome is not None and outcome.reused_from is not None:
        return {"step": step.id, "what": "reused", "why": f"run {outcome.reused_from} did the same"}
    return {"step": step.id, "what": "ran", "why": step.tags.get(CACHE_TAG, "")}


def _found(run: RecordedRun, name: str) -> RecordedStep:
    found = run.step(name)
    if found is None:
        known = [step.id for step in run.steps]
        raise NotFoundError(
            f"run {run.run_id} has no step '{name}'; there are: {listed(known)}."
            f"{did_you_mean(name, known)}"
        )
    return found
