"""`flowrun server`."""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from flowrun.cli import server_options
from flowrun.cli.kept import kept_text
from flowrun.cli.server_options import LOOPBACK_ADDRESSES
from flowrun.cli.webhooks import delivering
from flowrun.engine.services import Home
from flowrun.errors import UsageError
from flowrun.server.access import Access
from flowrun.server.access_log import AccessLog, LogFormat
from flowrun.server.app import AppOptions, create_app
from flowrun.server.asgi import ASGIApp
from flowrun.server.meters import Meters
from flowrun.server.routes import all_routes
from flowrun.server.serve import listen, serve_as_worker, serve_on, url_of
from flowrun.server.workers import run_workers
from flowrun.settings import Settings
from flowrun.stores import ARTIFACT_ROOT, Stores, now_ms, open_stores
from flowrun.tracking.sql.database import Durability
from flowrun.tracking.uri import with_absolute_path
from flowrun.valueclass import valueclass

app = typer.Typer(rich_markup_mode=None, add_completion=False)

TOKEN_BYTES = 24
MAX_WORKERS = 64


@valueclass
class Served:
    """What one server serves: enough to make the application, in any process."""

    settings: Settings
    store_uri: str
    artifacts_destination: str
    artifact_root: str
    durability: Durability
    prefix: str
    access: Access
    options: AppOptions

    def as_worker(self, number: int) -> Served:
        """Give the same for one of the processes, which counts in its own rows of the meters."""
        meters = self.options.meters
        own = None if meters is None else meters.of_worker(number)
        return replace(self, options=replace(self.options, meters=own))

    @contextmanager
    def open(self) -> Iterator[ASGIApp]:
        """Open the stores and give the application over them."""
        with (
            self.open_stores() as stores,
            delivering(self.settings, stores.registry) as webhooks,
        ):
            yield create_app(
                tracking=stores.tracking,
                registry=stores.registry,
                artifacts_destination=self.artifacts_destination,
                traces=stores.open_traces(),
                access=self.access,
                prefix=self.prefix,
                webhooks=webhooks,
                options=self.options,
            )

    def open_stores(self) -> AbstractContextManager[Stores]:
        """Open the stores alone."""
        return open_stores(
            self.store_uri,
            self.artifacts_destination,
            self.artifact_root,
            durability=self.durability,
        )


@app.command(
    "server",
    context_settings={
        "help_option_names": ["--help"],
        "allow_extra_args": True,
        "ignore_unknown_options": True,
    },
)
def server_command(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option("--host", "-h", envvar="MLFLOW_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", "-p", min=0, max=65535, envvar="MLFLOW_PORT", help="0: a free one."),
    ] = 5000,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            max=MAX_WORKERS,
            envvar="MLFLOW_WORKERS",
            help="Processes that answer.",
        ),
    ] = 1,
    backend_store_uri: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_BACKEND_STORE_URI",
            help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE; default: flowrun's"
            " own store.",
        ),
    ] = None,
    registry_store_uri: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_REGISTRY_STORE_URI",
            help="Only the store itself: flowrun keeps its registry there.",
        ),
    ] = None,
    default_artifact_root: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_DEFAULT_ARTIFACT_ROOT",
            help="Where new experiments keep artifacts, for clients to reach directly.",
        ),
    ] = None,
    artifacts_destination: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_ARTIFACTS_DESTINATION",
            help="Directory or URL of the artifacts that the server passes on.",
        ),
    ] = None,
    serve_artifacts: Annotated[
        bool,
        typer.Option(
            "--serve-artifacts/--no-serve-artifacts",
            envvar="MLFLOW_SERVE_ARTIFACTS",
            help="Pass artifacts on.",
        ),
    ] = True,
    artifacts_only: Annotated[
        bool,
        typer.Option("--artifacts-only", envvar="MLFLOW_ARTIFACTS_ONLY", help="Do nothing else."),
    ] = False,
    static_prefix: Annotated[
        str,
        typer.Option(
            envvar="MLFLOW_STATIC_PREFIX", help="What every path begins with, as /mlflow."
        ),
    ] = "",
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            "--allowed-hosts",
            "--allowed-host",
            envvar="MLFLOW_SERVER_ALLOWED_HOSTS",
            help="Names by which clients reach the server, with commas between; * for any.",
        ),
    ] = None,
    cors_allowed_origins: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
            help="Origins of web pages that may call, with commas between.",
        ),
    ] = None,
    x_frame_options: Annotated[
        str,
        typer.Option(
            envvar="MLFLOW_SERVER_X_FRAME_OPTIONS",
            help="Who may show pages in a frame: SAMEORIGIN, DENY, NONE (anybody).",
        ),
    ] = "SAMEORIGIN",
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Count requests for Prometheus, at /metrics.")
    ] = False,
    expose_prometheus: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_EXPOSE_PROMETHEUS",
            help="MLflow's name for --metrics; its directory is not needed.",
        ),
    ] = None,
    access_log: Annotated[
        LogFormat | None,
        typer.Option(help="Write a line for every request to standard output."),
    ] = None,
    durability: Annotated[
        Durability,
        typer.Option(help="full: an answered write survives a power cut as well (SQLite)."),
    ] = Durability.NORMAL,
) -> None:
    """Serve a store by MLflow's REST protocol.

    On a loopback address whoever can reach it may use it, as with `mlflow server`. On any other a
    token is asked for: it is made at first start and kept in flowrun's home.
    """
    server_options.refuse_unknown(ctx.args)
    settings: Settings = ctx.obj
    served = _served(
        settings,
        backend_store_uri,
        root=default_artifact_root,
        destination=artifacts_destination,
        durability=durability,
        prefix=server_options.prefix_of(static_prefix),
        access=server_options.access_of(
            host, allowed_hosts, cors_allowed_origins, _token(settings, host)
        ),
        options=AppOptions(
            proxies_artifacts=serve_artifacts,
            only_artifacts=artifacts_only,
            storage_variables=settings.variables,
            frame_options=server_options.frame_options_of(x_frame_options),
            meters=Meters(all_routes(), workers) if metrics or expose_prometheus else None,
            access_log=AccessLog(access_log, sys.stdout.fileno(), now_ms) if access_log else None,
        ),
    )
    if registry_store_uri not in {None, backend_store_uri}:
        raise UsageError(
            "flowrun keeps its registry in the store of the runs.",
            "Leave --registry-store-uri out.",
        )
    if artifacts_only and not serve_artifacts:
        raise UsageError("--artifacts-only with --no-serve-artifacts would serve nothing")
    with listen(host, port) as listener:
        _serve(served, listener, workers, url_of(listener, host) + served.prefix)


def _serve(served: Served, listener: socket.socket, workers: int, url: str) -> None:
    if workers == 1:
        with served.as_worker(0).open() as application:
            serve_on(listener, application, on_ready=lambda: _say_ready(url, served))
        return
    with served.open_stores():
        pass  # what is wrong with the store is told once, and here

    def work(number: int, closed: socket.socket) -> None:
        with served.as_worker(number).open() as application:
            serve_as_worker(closed, listener, application)

    run_workers(workers, work, on_ready=lambda: _say_ready(url, served))


def _served(
    settings: Settings,
    store_uri: str | None,
    *,
    root: str | None,
    destination: str | None,
    durability: Durability,
    prefix: str,
    access: Access,
    options: AppOptions,
) -> Served:
    home = Home(settings.home)
    home.make()
    place = server_options.place_of(destination or str(home.artifacts), settings.cwd)
    if root is None:
        # As with MLflow: names that only the server resolves, unless it doesn't.
        root = ARTIFACT_ROOT if options.proxies_artifacts else place
    root = server_options.place_of(root, settings.cwd)
    for uri in (place, root):
        server_options.check_storage(uri)
    is_direct = not root.startswith(ARTIFACT_ROOT)
    return Served(
        settings=settings,
        store_uri=with_absolute_path(store_uri or home.database_uri, settings.cwd),
        artifacts_destination=place,
        artifact_root=root,
        durability=durability,
        prefix=prefix,
        access=access,
        options=replace(options, artifact_roots=(root,) if is_direct else ()),
    )


def _say_ready(url: str, served: Served) -> None:
    # Standard output is for the log then, whose lines have one form.
    typer.echo(
        f"flowrun serves at {url}   (MLFLOW_TRACKING_URI={url}; Ctrl-C ends it)",
        err=served.options.access_log is not None,
    )


def _token(settings: Settings, host: str) -> str | None:
    return None if host in LOOPBACK_ADDRESSES else server_token(settings)


def server_token(settings: Settings) -> str:
    """Give the token that callers must show; made at first use, readable by its owner only."""
    path = Home(settings.home).root / "server-token"
    token, is_new = kept_text(path, lambda: secrets.token_urlsafe(TOKEN_BYTES))
    if is_new:
        typer.echo(f"Clients need MLFLOW_TRACKING_TOKEN; it is in {path}", err=True)
    return token
