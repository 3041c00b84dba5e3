"""`flowrun models predict`: the flags, which are MLflow's, and what they come to."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flowrun.cli.model_serving import (
    BESIDE,
    EnvManager,
    ModelUri,
    preparing,
    refuse_install_mlflow,
)
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.progress import Progress
from flowrun.errors import UsageError
from flowrun.settings import Settings

ROWS = 100_000


class Form(StrEnum):
    """How a file holds data."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def predict_command(
    ctx: typer.Context,
    model_uri: ModelUri,
    input_path: Annotated[
        Path | None, typer.Option("--input-path", "-i", help="Data; by default standard input.")
    ] = None,
    output_path: Annotated[
        Path | None,
        typer.Option("--output-path", "-o", help="Predictions; by default standard output."),
    ] = None,
    content_type: Annotated[
        Form | None,
        typer.Option("--content-type", "-t", help="Of the data; default: the file's suffix, json."),
    ] = None,
    params: Annotated[
        str | None, typer.Option(help="Params of the prediction, as a JSON object.")
    ] = None,
    env_manager: EnvManager = "virtualenv",
    pip_requirements_override: Annotated[
        str | None,
        typer.Option(
            "--pip-requirements-override", "-r", help="Packages instead of the model's: x==1,y==2."
        ),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="NAME=VALUE for the model; repeatable.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows read and predicted at once.")] = ROWS,
    install_mlflow: Annotated[bool, typer.Option("--install-mlflow", hidden=True)] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Predict from a file, in the model's own environment.

    CSV and Parquet are read part by part, so that a file may be larger than memory; JSON is a
    request as the scoring server takes it. Predictions are written in the format that the output's
    suffix names, else in that of the data.
    """
    refuse_install_mlflow(given=install_mlflow)
    settings = settings_of(ctx, tracking_uri)
    form = content_type or _form_of(input_path) or Form.JSON
    if input_path is not None and not input_path.is_file():
        raise UsageError(f"--input-path: there is no file '{input_path}'")
    if output_path is not None and not output_path.absolute().parent.is_dir():
        raise UsageError(f"--output-path: there is no folder '{output_path.parent}'")
    files = importlib.import_module("flowrun.models.scoring.files")
    predict = importlib.import_module("flowrun.serving.predict")
    prepare = importlib.import_module("flowrun.serving.prepare")
    store = importlib.import_module("flowrun.surroundings").env_store(settings)
    output_form = _form_of(output_path) or form
    beside = (*BESIDE, "pyarrow") if Form.PARQUET in {form, output_form} else BESIDE
    instead = [text.strip() for text in (pip_requirements_override or "").split(",") if text]
    given = _params(params)
    using = preparing(_with_variables(settings, env or ()), store, instead)
    with (
        closing(store),
        prepare.prepared(model_uri, env_manager, using, *beside) as model,
        Progress(settings.is_terminal) as progress,
    ):
        task = files.Task(
            folder=str(model.launch.folder),
            input=_absolute(settings, input_path),
            output=_absolute(settings, output_path),
            form=form.value,
            output_form=output_form.value,
            params=given,
            rows=rows,
            told=-1,
        )
        progress.begin("rows predicted", 0)
        counted = 0

        def on_done(done: int) -> None:
            nonlocal counted
            progress.add(done - counted)
            counted = done

        predict.predict_file(model.launch, task, on_done)


def prepare_command(
    ctx: typer.Context,
    model_uri: ModelUri,
    env_manager: EnvManager = "virtualenv",
    install_mlflow: Annotated[bool, typer.Option("--install-mlflow", hidden=True)] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Make a model's environment, so that nothing has to be made when it serves or predicts."""
    refuse_install_mlflow(given=install_mlflow)
    settings = settings_of(ctx, tracking_uri)
    prepare = importlib.import_module("flowrun.serving.prepare")
    store = importlib.import_module("flowrun.surroundings").env_store(settings)
    using = preparing(settings, store)
    with closing(store), prepare.prepared(model_uri, env_manager, using, *BESIDE) as model:
        typer.echo(f"ready: {model.env.python}")


def _form_of(path: Path | None) -> Form | None:
    suffix = "" if path is None else path.suffix.lower().lstrip(".")
    return Form(suffix) if suffix in list(Form) else None


def _absolute(settings: Settings, path: Path | None) -> str | None:
    return None if path is None else str(settings.cwd / path)


def _params(text: str | None) -> Mapping[str, object] | None:
    if text is None:
        return None
    try:
        params: object = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--params is no JSON: {error}") from error
    if not isinstance(params, dict):
        raise UsageError(f"--params must be a JSON object such as '{{\"k\": 3}}', not {text}")
    return params


def _with_variables(settings: Settings, given: list[str] | tuple[()]) -> Settings:
    """Give settings with variables of the command line over the caller's."""
    pairs = [item.partition("=") for item in given]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"--env '{name}' is not of the form NAME=VALUE")
    more = {name: value for name, _, value in pairs}
    return replace(settings, variables={**settings.variables, **more})
