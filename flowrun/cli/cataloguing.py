"""`flowrun models register`, `copy`, `search`, `describe`, `tag` and `delete`."""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from flowrun import api
from flowrun.cli.naming import named_version, the_version
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import print_rows, printable, time_text
from flowrun.cli.versions import version_to_json
from flowrun.engine.release.copying import Copying, copy_between, copy_within
from flowrun.errors import AlreadyExistsError, NotFoundError, UsageError
from flowrun.models.mlmodel import MLMODEL
from flowrun.registry.missing import asking
from flowrun.registry.noted import note_version
from flowrun.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Which = Annotated[str, typer.Argument(metavar="NAME[/VERSION|@ALIAS]")]


@app.command("register")
def register_command(
    ctx: typer.Context,
    uri: Annotated[
        str, typer.Argument(metavar="MODEL", help="models:/m-..., runs:/ID/model or a folder.")
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the registered model; made if it is new.")
    ],
    description: Annotated[str, typer.Option(help="Of the version, in Markdown.")] = "",
    tracking_uri: TrackingUri = None,
) -> None:
    """Make a version of a registered model."""
    settings = settings_of(ctx, tracking_uri)
    source = _source(uri, settings.cwd)
    with api.open_default_stores(settings) as stores:
        with suppress(AlreadyExistsError):
            stores.registry.create_registered_model(name)
        version = stores.registry.create_model_version(
            name, source, description=description, user_id=settings.user
        )
        if version.model_id is not None:
            note_version(stores.tracking, version.model_id, version)
    typer.echo(f"{printable(name)} version {version.version}")


@app.command("copy")
def copy_command(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="NAME/VERSION|NAME@ALIAS")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the model that gets a version.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URI", help="Tracking server to copy to, with the files."),
    ] = None,
    to_home: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The same, to flowrun's own store in another home."),
    ] = None,
    tags: Annotated[bool, typer.Option("--tags/--no-tags", help="Its tags as well.")] = True,
    aliases: Annotated[bool, typer.Option("--aliases", help="Its aliases as well.")] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Copy a version to another name, or into another registry with its files."""
    settings = settings_of(ctx, tracking_uri)
    if to is not None and to_home is not None:
        raise UsageError("give --to or --to-home, not both")
    with api.open_default_stores(settings) as stores:
        version = the_version(stores.registry, source)
        copying = Copying(version, name.removeprefix("models:/"), settings.user, tags, aliases)
        if to is None and to_home is None:
            made, where = copy_within(stores, copying), ""
        else:
            other = _elsewhere(settings, to, to_home)
            with (
                api.open_default_stores(other) as target,
                tempfile.TemporaryDirectory(prefix="flowrun-copy-") as work,
            ):
                made = copy_between(stores, target, copying, Path(work))
                where = f" at {target.uri}"
    typer.echo(
        f"{printable(version.name)} version {version.version} is now also {printable(made.name)} "
        f"version {made.version}{where}"
    )


@app.command("search")
def search_command(
    ctx: typer.Context,
    filter_text: Annotated[
        str, typer.Argument(metavar="FILTER", help="MLflow's: name = 'wine' AND tags.t = 'x'")
    ] = "",
    order_by: Annotated[
        list[str] | None, typer.Option(help="Such as: last_updated_timestamp DESC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Find versions of registered models."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        found = stores.registry.search_model_versions(
            filter_text=filter_text, order_by=order_by or (), max_results=limit
        ).items
    if as_json:
        print_rows((), [version_to_json(version) for version in found], as_json=True)
        return
    rows = [
        {
            "version": f"{version.name}/{version.version}",
            "stage": version.stage.value,
            "aliases": [f"@{alias}" for alias in version.aliases],
            "created": time_text(version.creation_time_ms),
            "user": version.user_id,
            "description": version.description,
        }
        for version in found
    ]
    columns = ("version", "stage", "aliases", "created", "user", "description")
    print_rows(columns, rows, as_json=False)


@app.command("describe")
def describe_command(
    ctx: typer.Context,
    which: Which,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="In Markdown; - reads standard input.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-F", help="Take it from a file.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Say in Markdown what a model or a version is for; without a text, show what is said."""
    if text is not None and file is not None:
        raise UsageError("give a text or --file, not both")
    text = sys.stdin.read() if text == "-" else text
    text = _read(file) if file is not None else text
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, which):
        registry = stores.registry
        version = named_version(registry, which)
        if text is None:
            said = version or registry.get_registered_model(which)
            typer.echo(printable(said.description))
        elif version is not None:
            registry.update_model_version(version.name, version.version, text)
        else:
            registry.update_registered_model(which, text)


@app.command("tag")
def tag_command(
    ctx: typer.Context,
    which: Which,
    tags: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Take one away.")] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Set or remove tags of a model or a version; without any, list them."""
    pairs = [_pair(text) for text in tags or []]
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, which):
        registry = stores.registry
        version = named_version(registry, which)
        for key, value in pairs:
            if version is not None:
                registry.set_model_version_tag(version.name, version.version, key, value)
            else:
                registry.set_registered_model_tag(which, key, value)
        for key in remove or []:
            if version is not None:
                registry.delete_model_version_tag(version.name, version.version, key)
            else:
                registry.delete_registered_model_tag(which, key)
        if not pairs and not remove:
            said = version or registry.get_registered_model(which)
            for key in sorted(said.tags):
                typer.echo(f"{printable(key)}={printable(said.tags[key])}")


@app.command("unset-alias")
def unset_alias_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS")],
    tracking_uri: TrackingUri = None,
) -> None:
    """Let an alias point to no version any more (`promote --alias` sets one)."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, name):
        stores.registry.delete_alias(name, alias.removeprefix("@"), user_id=settings.user)


@app.command("delete")
def delete_command(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="NAME[/VERSION]")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Remove a version, or a model with all its versions; their files and runs stay."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, which):
        registry = stores.registry
        version = named_version(registry, which)
        if version is None:
            aliases = registry.get_registered_model(which).aliases
            what = f"model {which} with all its versions"
        else:
            aliases = dict.fromkeys(version.aliases, version.version)
            what = f"version {version.name}/{version.version} ({version.stage.value})"
        named = ", ".join(f"@{alias}" for alias in aliases)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"to delete {what} where nobody can be asked, give --yes")
            typer.confirm(f"Delete {what}{f' ({named})' if named else ''}?", abort=True)
        if version is not None:
            registry.delete_model_version(version.name, version.version)
        else:
            registry.delete_registered_model(which)
    typer.echo(f"deleted {printable(what)}")


def _source(uri: str, cwd: Path) -> str:
    """Give a model's URI; a folder's whole path, since it is read from elsewhere later."""
    if urlsplit(uri).scheme:
        return uri
    folder = (cwd / uri).resolve()
    if not (folder / MLMODEL).is_file():
        raise NotFoundError(
            f"'{uri}' is no model: no MLmodel file is in {folder}",
            "`flowrun models register MODEL NAME` takes models:/m-ID, runs:/ID/PATH or a folder.",
        )
    return str(folder)


def _elsewhere(settings: Settings, tracking_uri: str | None, home: Path | None) -> Settings:
    """Give settings that open another store: a server's, or the one in another home."""
    if home is not None:
        return replace(settings, tracking_uri=None, home=home.absolute())
    return replace(settings, tracking_uri=tracking_uri)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"'{text}' is no tag: write KEY=VALUE")
    return key, value


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}") from error
