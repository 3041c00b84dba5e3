"""`flowrun models serve`: the flags, which are MLflow's, and what they come to.

What serves is imported when it is asked for: `flowrun models list` needs none of it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.project import templates_dir
from flowrun.errors import UsageError
from flowrun.registry.required import machine_keys
from flowrun.settings import REQUIRE_SIGNATURE, Settings

if TYPE_CHECKING:
    from flowrun.serving.prepare import Preparing

_PREPARE = "flowrun.serving.prepare"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

ModelUri = Annotated[
    str,
    typer.Option(
        "--model-uri", "-m", metavar="URI", help="models:/NAME/VERSION, runs:/ID/PATH or a folder."
    ),
]
EnvManager = Annotated[
    str,
    typer.Option(
        envvar="MLFLOW_ENV_MANAGER",
        help="virtualenv, uv, conda, or local: the Python that flowrun runs in.",
    ),
]
RequireSignature = Annotated[
    Path | None,
    typer.Option(
        metavar="KEY",
        help="Refuse a model that is not signed with this public key (see `models sign`); by "
        f"default that which {REQUIRE_SIGNATURE} names, if it does.",
    ),
]

BESIDE = ("pandas", "orjson")
"""What scoring uses in a model's environment; the second one only for speed."""


class Batching(StrEnum):
    """Whether requests that wait at the same time are predicted in one call."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def serve_command(
    ctx: typer.Context,
    model_uri: ModelUri,
    port: Annotated[
        int,
        typer.Option("--port", "-p", min=0, max=65535, envvar="MLFLOW_PORT", help="0: a free one."),
    ] = 5000,
    host: Annotated[
        str, typer.Option("--host", "-h", envvar="MLFLOW_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            max=64,
            envvar="MLFLOW_MODELS_WORKERS",
            help="Processes that predict, each with the model loaded.",
        ),
    ] = 1,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            "-t",
            min=0.001,
            envvar="MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT",
            help="Seconds that a request gets.",
        ),
    ] = 60,
    env_manager: EnvManager = "virtualenv",
    no_conda: Annotated[
        bool, typer.Option("--no-conda", help="MLflow's old name for --env-manager local.")
    ] = False,
    batching: Annotated[
        Batching,
        typer.Option(
            help="Predict tables that wait at the same time in one call; auto: with libraries whose"
            " models look at each row by itself.",
        ),
    ] = Batching.AUTO,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Requests that may wait; more are refused.")
    ] = 1000,
    max_body_mb: Annotated[int, typer.Option(min=1, help="The largest request, in MiB.")] = 64,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            "--allowed-hosts",
            envvar="MLFLOW_SERVER_ALLOWED_HOSTS",
            help="Names by which clients reach the server, with commas between; * for any.",
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Let everybody predict who can reach the address."),
    ] = False,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a JSON line for every request.")
    ] = False,
    enable_mlserver: Annotated[bool, typer.Option("--enable-mlserver", hidden=True)] = False,
    install_mlflow: Annotated[bool, typer.Option("--install-mlflow", hidden=True)] = False,
    require_signature: RequireSignature = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Serve a model by MLflow's scoring protocol, in the model's own environment.

    On a loopback address whoever can reach it may ask it. On any other a token is asked for, as
    by `flowrun server`, unless --no-token.
    """
    _refuse(enable_mlserver=enable_mlserver, install_mlflow=install_mlflow)
    settings = settings_of(ctx, tracking_uri)
    serving = importlib.import_module("flowrun.serving.serve")
    pool = importlib.import_module("flowrun.serving.pool")
    fetch = importlib.import_module("flowrun.serving.fetch")
    server = importlib.import_module("flowrun.server.serve")
    prepare = importlib.import_module(_PREPARE)
    store = importlib.import_module("flowrun.surroundings").env_store(settings)
    manager = "local" if no_conda else env_manager
    with (
        server.listen(host, port) as listener,
        closing(store),
        prepare.prepared(
            model_uri, manager, preparing(settings, store, (), require_signature), *BESIDE
        ) as model,
    ):
        together = batching is Batching.ON or (
            batching is Batching.AUTO and fetch.predicts_row_by_row(model.found)
        )
        options = serving.ServeOptions(
            pool=pool.PoolOptions(workers, timeout, max_waiting, together),
            access=_access(settings, host, allowed_hosts, no_token=no_token),
            most_body_bytes=max_body_mb * 2**20,
            access_log=_access_log() if access_log else None,
        )
        url = server.url_of(listener, host)
        templates = templates_dir() / "serving"

        def say_ready() -> None:
            typer.echo(f"flowrun serves {model_uri} at {url}   (Ctrl-C ends it)", err=access_log)

        serving.serve_model(model.launch, listener, options, templates, model_uri, say_ready)


def preparing(
    settings: Settings,
    store: object,
    instead: Sequence[str] = (),
    public_key: Path | None = None,
) -> Preparing:
    """Give what preparing a model needs, with an open store of environments.

    Args:
        settings: the caller's.
        store: of environments, open.
        instead: requirements that take the place of the model's own for the same packages.
        public_key: what the model has to be signed with; by default what the settings say.
    """
    home = importlib.import_module("flowrun.engine.services").Home(settings.home)
    home.make()
    made: Preparing = importlib.import_module(_PREPARE).Preparing(
        envs=store,
        home=home,
        variables=settings.variables,
        tracking_uri=settings.tracking_uri,
        tell=lambda text: typer.echo(text, err=True),
        instead=instead,
        public_key=public_key or next(iter(machine_keys(settings.variables, settings.cwd)), None),
    )
    return made


def _refuse(*, enable_mlserver: bool, install_mlflow: bool) -> None:
    if enable_mlserver:
        raise UsageError(
            "flowrun models serve does not take MLflow's --enable-mlserver.",
            "flowrun has a server of its own; --workers N has several processes predict.",
        )
    refuse_install_mlflow(given=install_mlflow)


def refuse_install_mlflow(*, given: bool) -> None:
    """Refuse one of MLflow's flags.

    Raises:
        UsageError: it is given.
    """
    if given:
        raise UsageError(
            "flowrun does not take MLflow's --install-mlflow.",
            "Nothing of MLflow is needed to predict; a model whose own code imports it names it"
            " among its requirements.",
        )


def _access(settings: Settings, host: str, hosts: str | None, *, no_token: bool) -> object:
    options = importlib.import_module("flowrun.cli.server_options")
    token = None
    if host not in _LOOPBACK and not no_token:
        token = importlib.import_module("flowrun.cli.server").server_token(settings)
    access: object = options.access_of(host, hosts, None, token)
    return access


def _access_log() -> object:
    log = importlib.import_module("flowrun.server.access_log")
    now_ms = importlib.import_module("flowrun.stores").now_ms
    made: object = log.AccessLog(log.LogFormat.JSON, sys.stdout.fileno(), now_ms)
    return made
