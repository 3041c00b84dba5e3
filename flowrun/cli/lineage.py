"""`flowrun models lineage` and `flowrun models card`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.naming import the_version
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import print_facts, print_rows, printable
from flowrun.engine.cache.digest import digest_of
from flowrun.errors import InvalidStateError, UsageError
from flowrun.proof.lineage import (
    Lineage,
    LineageStep,
    lineage_of,
    versions_from_commit,
    versions_from_data,
)
from flowrun.proof.model_card import model_card
from flowrun.registry.entities import ModelVersion

app = typer.Typer(rich_markup_mode=None, add_completion=False)

CARDS = "model-cards"
"""The folder of a run's artifacts that keeps cards of the models it made."""


@app.command("lineage")
def lineage_command(
    ctx: typer.Context,
    version: Annotated[str | None, typer.Argument(metavar="NAME/VERSION|NAME@ALIAS")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SHA256|PATH", help="Every version that came from this data."),
    ] = None,
    commit: Annotated[
        str | None, typer.Option(help="Every version that came from this commit.")
    ] = None,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Tell where a version comes from, or which versions come from a commit or some data."""
    if sum(each is not None for each in (version, data, commit)) != 1:
        raise UsageError("give a version, --data or --commit")
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        if version is not None:
            lineage = lineage_of(stores, the_version(stores.registry, version))
            if as_json:
                typer.echo(json.dumps(lineage_to_json(lineage), indent=2))
            else:
                _print_lineage(lineage)
            return
        if data is not None:
            found = versions_from_data(stores, _sha256(data))
        else:
            found = versions_from_commit(stores, commit or "")
    rows = [_row(each) for each in found]
    print_rows(("version", "stage", "aliases", "run", "commit"), rows, as_json=as_json)


@app.command("card")
def card_command(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME/VERSION|NAME@ALIAS")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here instead of the terminal.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it with the run that made the model, too.")
    ] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write a version down in Markdown: what for, signature, metrics, lineage, history."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        found = the_version(stores.registry, version)
        card = model_card(stores, found)
        if keep:
            if found.run_id is None:
                raise InvalidStateError(f"no run made {version}, so that none can keep its card")
            place = stores.tracking.get_run(found.run_id).info.artifact_uri
            path = f"{CARDS}/{found.name}-{found.version}.md"
            stores.open_artifacts(place).put_bytes(path, card.encode())
            typer.echo(f"kept as runs:/{found.run_id}/{path}", err=True)
    if output is not None:
        output.write_text(card)
    elif not keep:
        typer.echo(card, nl=False)


def lineage_to_json(lineage: Lineage) -> dict[str, object]:
    """Give a lineage for programs."""
    version = lineage.version
    return {
        "name": version.name,
        "version": version.version,
        "sha256": lineage.sha256,
        "source": lineage.source,
        "repo_url": lineage.repo_url,
        "commit": lineage.commit,
        "tree": lineage.tree,
        "is_dirty": lineage.is_dirty,
        "pipeline": {
            "run_id": lineage.pipeline_run_id,
            "entry_point": lineage.pipeline,
            "params": dict(lineage.pipeline_params),
        },
        "metrics": dict(lineage.metrics),
        "steps": [
            {
                "run_id": step.run_id,
                "step": step.step,
                "entry_point": step.entry_point,
                "commit": step.commit,
                "params": dict(step.params),
                "inputs": {name: dict(read) for name, read in step.inputs.items()},
                "data": sorted(step.data),
                "env": {
                    "backend": step.env_backend,
                    "key": step.env_key,
                    "lock": step.env_lock,
                },
            }
            for step in lineage.steps
        ],
    }


def _print_lineage(lineage: Lineage) -> None:
    version = lineage.version
    typer.echo(f"model {printable(version.name)} version {version.version}")
    dirty = " (with changes that are not committed)" if lineage.is_dirty else ""
    print_facts(
        [
            ("sha256", lineage.sha256),
            ("files", version.download_uri),
            ("source", lineage.source),
            ("commit", f"{lineage.commit}{dirty}" if lineage.commit else None),
            ("tree", lineage.tree),
            ("pipeline", _pipeline(lineage)),
            ("parameters", [f"{k}={v}" for k, v in lineage.pipeline_params.items()]),
        ],
        indent="  ",
    )
    for step in lineage.steps:
        typer.echo(f"  from {_step(step)}  runs:/{step.run_id}")
        print_facts(
            [
                ("parameters", [f"{k}={v}" for k, v in step.params.items()]),
                ("environment", _env(step)),
                *((f"input {k}", _read(v["uri"], v["sha256"])) for k, v in step.inputs.items()),
            ],
            indent="    ",
        )


def _pipeline(lineage: Lineage) -> str | None:
    if lineage.pipeline_run_id is None:
        return None
    entry_point = f"{lineage.pipeline}  " if lineage.pipeline else ""
    return f"{entry_point}runs:/{lineage.pipeline_run_id}"


def _step(step: LineageStep) -> str:
    return f"step '{printable(step.step)}'" if step.step else printable(step.entry_point) or "run"


def _env(step: LineageStep) -> str:
    return f"{step.env_backend} {step.env_lock or step.env_key or ''}" if step.env_backend else ""


def _read(uri: str, sha256: str) -> str:
    return f"sha256:{sha256}  {uri}"


def _row(version: ModelVersion) -> dict[str, object]:
    return {
        "version": f"{version.name}/{version.version}",
        "stage": version.stage.value,
        "aliases": list(version.aliases),
        "run": version.run_id,
        "commit": version.tags.get("flowrun.commit"),
    }


def _sha256(data: str) -> str:
    """Give the digest that is meant: itself, or that of a file or folder."""
    path = Path(data)
    if path.exists():
        try:
            return digest_of(path).sha256
        except OSError as error:
            raise UsageError(f"--data {data}: {error.strerror or error}") from error
    return data.removeprefix("sha256:")
