"""`flowrun models`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli import cataloguing, deploying, lineage, releases, signing
from flowrun.cli.history import print_history, transition_to_json
from flowrun.cli.naming import named_version
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import print_facts, print_rows, printable, time_text
from flowrun.cli.versions import model_to_json, version_to_json
from flowrun.engine.console import run_metrics_text
from flowrun.errors import NotFoundError
from flowrun.registry.entities import ModelVersion, RegisteredModel
from flowrun.registry.missing import asking
from flowrun.registry.store import RegistryStore
from flowrun.stores import Stores, all_items
from flowrun.tracking.entities import Run

app = typer.Typer(rich_markup_mode=None, add_completion=False)
models = typer.Typer(help="Show, promote and manage registered models.", no_args_is_help=True)
for part in (releases, lineage, cataloguing, deploying):
    models.add_typer(part.app)
app.add_typer(models, name="models")

AsJson = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]


@models.command("list")
def list_models(
    ctx: typer.Context,
    filter_text: Annotated[
        str, typer.Option("--filter", help="MLflow's filter language: name LIKE 'wine%'")
    ] = "",
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """List registered models with their latest versions."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        found = _all_models(stores.registry, filter_text)
    if as_json:
        print_rows((), [model_to_json(model) for model in found], as_json=True)
        return
    rows = [
        {
            "name": model.name,
            "latest": [f"{v.version} ({v.stage.value})" for v in model.latest_versions],
            "aliases": [f"@{alias} = {version}" for alias, version in model.aliases.items()],
            "updated": time_text(model.last_update_time_ms),
            "description": model.description,
        }
        for model in found
    ]
    print_rows(("name", "latest", "aliases", "updated", "description"), rows, as_json=False)


@models.command("show")
def show_model(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[/VERSION|@ALIAS]")],
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Show a registered model with its history, or one version with where it came from."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, name):
        version = named_version(stores.registry, name)
        if version is not None:
            _show_version(stores, version, as_json=as_json)
        else:
            _show_registered(stores.registry, name, as_json=as_json)


models.command("sign")(signing.sign_model)
models.command("verify-signature")(signing.verify_signature)
models.command("keygen")(signing.make_key)


def _all_models(registry: RegistryStore, filter_text: str) -> list[RegisteredModel]:
    return all_items(
        lambda token: registry.search_registered_models(
            filter_text=filter_text, max_results=1000, page_token=token
        )
    )


def _show_registered(registry: RegistryStore, name: str, *, as_json: bool) -> None:
    model = registry.get_registered_model(name)
    versions = registry.search_model_versions(
        filter_text=f"name = '{name.replace(chr(39), chr(39) * 2)}'", max_results=1000
    ).items
    history = registry.get_history(name)
    if as_json:
        data = model_to_json(model) | {
            "versions": [version_to_json(version) for version in versions],
            "history": [transition_to_json(line) for line in history],
        }
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"model {printable(model.name)}")
    facts: list[tuple[str, object]] = [("description", model.description), *model.tags.items()]
    print_facts(facts, indent="  ")
    rows = [
        {
            "version": version.version,
            "stage": version.stage.value,
            "aliases": [f"@{alias}" for alias, n in model.aliases.items() if n == version.version],
            "created": time_text(version.creation_time_ms),
            "user": version.user_id,
            "run": version.run_id,
        }
        for version in versions
    ]
    print_rows(("version", "stage", "aliases", "created", "user", "run"), rows, as_json=False)
    print_history(history)


def _show_version(stores: Stores, version: ModelVersion, *, as_json: bool) -> None:
    history = stores.registry.get_history(version.name, version.version)
    run = _run(stores, version)
    if as_json:
        data = version_to_json(version) | {
            "history": [transition_to_json(line) for line in history],
            "metrics": {k: m.value for k, m in run.metrics.items()} if run else {},
        }
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"model {printable(version.name)} version {version.version}")
    tags = version.tags
    print_facts(
        [
            ("stage", version.stage.value),
            ("aliases", [f"@{alias}" for alias in version.aliases]),
            ("description", version.description),
            ("created", time_text(version.creation_time_ms)),
            ("by", version.user_id),
            ("files", version.download_uri),
            ("sha256", tags.get("flowrun.model.sha256")),
            ("run", version.run_id),
            ("step", tags.get("flowrun.step")),
            ("pipeline", tags.get("flowrun.pipeline_run_id")),
            ("source", tags.get("flowrun.source")),
            ("commit", tags.get("flowrun.commit")),
            ("tree", tags.get("flowrun.tree")),
            ("environment", tags.get("flowrun.env.key")),
            ("metrics", run_metrics_text(run) if run else ""),
        ],
        indent="  ",
    )
    inputs = [(k, v) for k, v in sorted(tags.items()) if k.startswith("flowrun.input.")]
    for key, text in inputs:
        data = json.loads(text)
        typer.echo(f"  input {key.removeprefix('flowrun.input.')}  sha256:{data['sha256']}")
    print_history(history)


def _run(stores: Stores, version: ModelVersion) -> Run | None:
    if version.run_id is None:
        return None
    try:
        return stores.tracking.get_run(version.run_id)
    except NotFoundError:
        return None  # purged since
