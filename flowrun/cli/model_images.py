"""`flowrun models build-docker`, `generate-dockerfile` and `generate-kubernetes`."""

from __future__ import annotations

import importlib
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from flowrun.cli.model_serving import BESIDE, ModelUri, preparing
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.project import templates_dir
from flowrun.errors import UsageError

BaseImage = Annotated[
    str | None,
    typer.Option(help="Has the model's Python as python3, with pip; default: python:X.Y-slim."),
]
EnvManager = Annotated[
    str,
    typer.Option(envvar="MLFLOW_ENV_MANAGER", help="virtualenv: images have no other kind."),
]
_IMAGE = "flowrun.serving.image"


def build_docker_command(
    ctx: typer.Context,
    model_uri: ModelUri,
    name: Annotated[str, typer.Option("--name", "-n", help="Of the image: wine:1")],
    base_image: BaseImage = None,
    env_manager: EnvManager = "virtualenv",
    tracking_uri: TrackingUri = None,
) -> None:
    """Build an image that serves a model at port 8080, also for SageMaker.

    It has the model's environment and the server's, both locked, and needs no network. It runs as
    user 1000.
    """
    _only_virtualenv(env_manager)
    settings = settings_of(ctx, tracking_uri)
    image = importlib.import_module(_IMAGE)
    store = importlib.import_module("flowrun.surroundings").env_store(settings)
    with closing(store):
        engine = store.engine()
        using = preparing(settings, store)
        templates = templates_dir()
        with image.temporary_context(model_uri, base_image, BESIDE, using, templates) as context:
            image.build_image(context, name, engine, _tell)
    typer.echo(f"built {name}   (docker run --rm -p 5001:8080 {name})")


def generate_dockerfile_command(
    ctx: typer.Context,
    model_uri: ModelUri,
    output_directory: Annotated[
        Path, typer.Option("--output-directory", "-d", help="A new folder.")
    ] = Path("mlflow-dockerfile"),
    base_image: BaseImage = None,
    env_manager: EnvManager = "virtualenv",
    tracking_uri: TrackingUri = None,
) -> None:
    """Write what `build-docker` builds from into a folder: Dockerfile, locks, model, server."""
    _only_virtualenv(env_manager)
    settings = settings_of(ctx, tracking_uri)
    image = importlib.import_module(_IMAGE)
    store = importlib.import_module("flowrun.surroundings").env_store(settings)
    folder = settings.cwd / output_directory
    with closing(store):
        using = preparing(settings, store)
        image.write_context(model_uri, folder, base_image, BESIDE, using, templates_dir())
    typer.echo(f"made {output_directory}   (docker build {output_directory})")


def generate_kubernetes_command(
    image: Annotated[str, typer.Option(help="What `build-docker` has built, where it is pushed.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Of the deployment and its service.")],
    replicas: Annotated[int, typer.Option(min=0, help="Containers.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that predict in each.")] = 1,
    cpu: Annotated[str, typer.Option(help="That each asks for.")] = "500m",
    memory: Annotated[str, typer.Option(help="That each asks for, and may take.")] = "1Gi",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the service.")] = 80,
    output_path: Annotated[
        Path | None, typer.Option("--output-path", "-o", help="A file; default: standard output.")
    ] = None,
) -> None:
    """Write Kubernetes manifests for an image of a model: a Deployment, and a Service before it."""
    kubernetes = importlib.import_module("flowrun.serving.kubernetes")
    wanted = kubernetes.Deployment(name, image, replicas, workers, cpu, memory, port)
    text = kubernetes.manifests(wanted, templates_dir() / "serving")
    if output_path is None:
        typer.echo(text, nl=False)
    else:
        output_path.write_text(text, encoding="utf-8")


def _only_virtualenv(manager: str) -> None:
    if manager not in {"virtualenv", "uv"}:
        raise UsageError(
            f"images of models are made with virtualenv, not with '{manager}'",
            "Leave --env-manager out.",
        )


def _tell(text: str) -> None:
    typer.echo(text, err=True)
