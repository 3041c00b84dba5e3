"""`flowrun server`."""

from __future__ import annotations

import secrets
import signal
from typing import Annotated

import typer

from flowrun.cli.kept import kept_text
from flowrun.cli.webhooks import delivering
from flowrun.engine.services import Home
from flowrun.server.access import LOOPBACK_HOSTS, Access
from flowrun.server.app import create_app
from flowrun.server.serve import serve
from flowrun.settings import Settings
from flowrun.stores import ARTIFACT_ROOT, open_stores
from flowrun.tracking.checks import check_artifact_location
from flowrun.tracking.uri import with_absolute_path

app = typer.Typer(rich_markup_mode=None, add_completion=False)

LOOPBACK_ADDRESSES = frozenset({"127.0.0.1", "localhost", "::1"})
TOKEN_BYTES = 24


@app.command("server", context_settings={"help_option_names": ["--help"]})
def server_command(
    ctx: typer.Context,
    host: Annotated[str, typer.Option("--host", "-h", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="0: a free one.")
    ] = 5000,
    static_prefix: Annotated[
        str, typer.Option(help="What every path begins with, as /mlflow.")
    ] = "",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", help="A name by which clients reach the server."),
    ] = None,
    backend_store_uri: Annotated[
        str | None,
        typer.Option(
            help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE; default: flowrun's"
            " own store."
        ),
    ] = None,
    default_artifact_root: Annotated[
        str, typer.Option(help="Below this URI new experiments keep their artifacts.")
    ] = ARTIFACT_ROOT,
    artifacts_destination: Annotated[
        str | None,
        typer.Option(help="The folder or URL where the server keeps mlflow-artifacts:/."),
    ] = None,
) -> None:
    """Serve a store by MLflow's REST protocol.

    On a loopback address whoever can reach it may use it, as with `mlflow server`. On any other a
    token is asked for: it is made at first start and kept in flowrun's home.
    """
    settings: Settings = ctx.obj
    token = None if host in LOOPBACK_ADDRESSES else server_token(settings)
    hosts = LOOPBACK_HOSTS | {name.lower() for name in allowed_host or []} | {host.lower()}
    home = Home(settings.home)
    home.make()
    uri = with_absolute_path(backend_store_uri or home.database_uri, settings.cwd)
    destination = check_artifact_location(artifacts_destination or str(home.artifacts))
    root = check_artifact_location(default_artifact_root)
    with (
        open_stores(uri, destination, root) as stores,
        delivering(settings, stores.registry) as webhooks,
    ):
        served = create_app(
            tracking=stores.tracking,
            registry=stores.registry,
            artifacts_destination=stores.artifacts_destination,
            access=Access(token=token, hosts=frozenset(hosts)),
            prefix=static_prefix,
            webhooks=webhooks,
        )
        _end_well_by_signal()
        serve(served, host, port, on_ready=lambda url: _say_ready(url + static_prefix))


def _end_well_by_signal() -> None:
    """Make SIGTERM and Ctrl-C the ordinary end: uvicorn raises them again after it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _say_ready(url: str) -> None:
    typer.echo(f"flowrun serves at {url}   (MLFLOW_TRACKING_URI={url}; Ctrl-C ends it)")


def server_token(settings: Settings) -> str:
    """Give the token that callers must show; made at first use, readable by its owner only."""
    path = Home(settings.home).root / "server-token"
    token, is_new = kept_text(path, lambda: secrets.token_urlsafe(TOKEN_BYTES))
    if is_new:
        typer.echo(f"Clients need MLFLOW_TRACKING_TOKEN; it is in {path}", err=True)
    return token
