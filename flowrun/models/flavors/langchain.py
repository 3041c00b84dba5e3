"""Chains, agents and graphs of LangChain and LangGraph, kept as the file of code that makes them.

Anything will do that has `invoke` or can be called. LangChain's pickles are neither made nor read.
Source: MLflow 3.17, mlflow/langchain.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.arrays import is_array, is_frame
from flowrun.models.flavors.base import Content, Predict, Settings, Written, refuse_pickle
from flowrun.models.flavors.scripts import run_script
from flowrun.models.inner_paths import inside
from flowrun.models.loading import PYFUNC, load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.mlmodel import read_mlmodel
from flowrun.models.requirements import installed_version, modules_of_code
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    from typing import Unpack

NAME = "langchain"
_CALLS_AT_ONCE = 10
"""As in MLflow: a chain mostly waits for a model elsewhere."""


def save_model(
    lc_model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    model_config: Mapping[str, object] | None = None,
    streamable: bool | None = None,  # noqa: FBT001 - as in MLflow
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format. Its code is run once, to see that it works.

    Args:
        lc_model: a Python file that calls `set_model` of `flowrun.models` (or of `mlflow.models`,
            if MLflow is to load it).
        path: the folder, new or empty.
        model_config: kept in the MLmodel file, for the code.
        streamable: it has `stream`; if not given, it is looked at.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(lc_model, model_config, streamable=streamable), path, options)


def log_model(
    lc_model: str | os.PathLike[str],
    artifact_path: str | None = None,
    model_config: Mapping[str, object] | None = None,
    streamable: bool | None = None,  # noqa: FBT001 - as in MLflow
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    return log(_content(lc_model, model_config, streamable=streamable), artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give what the code says that the model is; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


class LangchainFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.langchain"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model, by running its code."""
        # MLflow says it in the section of python_function only.
        more = read_mlmodel(folder).flavors.get(PYFUNC, {})
        name = settings.get("model_code_path") or more.get("model_code_path")
        if not name:
            raise UnsupportedError(
                f"{folder} holds a pickle of LangChain, which is not read here",
                "Keep the model as a file of code: langchain.log_model('chain.py')",
            )
        # MLflow writes the whole path on the machine that it was saved on.
        path = inside(folder, Path(str(name)).name)
        refuse_pickle(f"the code in {path}", "Load a model that brings no code.")
        return run_script(path)

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts: an answer for each row, or for what is no table the only one."""
        del pyfunc
        return _predictor(model)


FLAVOR = LangchainFlavor()


def _content(
    given: object,
    config: Mapping[str, object] | None,
    *,
    streamable: bool | None,
) -> Content:
    path = Path(given) if isinstance(given, (str, os.PathLike)) else None
    if path is None or not path.is_file():
        raise InvalidValueError(
            f"lc_model is the Python file that makes the model, not {given!r:.200}",
            "Put the code into a file that ends with flowrun.models.set_model(model).",
        )
    model = run_script(path)

    def write(folder: Path) -> Written:
        shutil.copyfile(path, folder / path.name)
        can_stream = hasattr(model, "stream") if streamable is None else streamable
        version = installed_version("langchain") or installed_version("langchain-core")
        pyfunc: dict[str, object] = {
            "loader_module": "mlflow.langchain",
            "predict_stream_fn": "predict_stream",
            "streamable": can_stream,
            "model_code_path": path.name,
        }
        if config:
            pyfunc["config"] = dict(config)
        settings = {"langchain_version": version, "streamable": can_stream}
        return Written(NAME, settings, pyfunc, frozenset(modules_of_code([path])))

    return Content(NAME, write, _predictor(model))


def _predictor(model: object) -> Predict:
    invoke: object = getattr(model, "invoke", model)
    if not callable(invoke):
        raise InvalidValueError(f"a {type(model).__name__} has no invoke() and can't be called")
    call: Callable[..., object] = invoke

    def answer(request: object, params: Mapping[str, object]) -> object:
        try:
            return _plain(call(request, **params))
        except TypeError:
            if not isinstance(request, dict) or len(request) != 1:
                raise
            # A table of one column, for a model that takes no mapping.
            (only,) = request.values()
            return _plain(call(only, **params))

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        requests = _requests(data)
        if not isinstance(requests, list):
            return answer(requests, params or {})
        if len(requests) < 2:
            return [answer(request, params or {}) for request in requests]
        with ThreadPoolExecutor(min(_CALLS_AT_ONCE, len(requests))) as threads:
            return list(threads.map(lambda request: answer(request, params or {}), requests))

    return predict


def _requests(data: object) -> object:
    if is_frame(data):
        columns = data.columns.tolist()
        if columns == [0]:  # texts, made a table by the signature
            return data[0].tolist()
        return [dict(zip(columns, row)) for row in zip(*(data[c].tolist() for c in columns))]
    return data.tolist() if is_array(data) else data


def _plain(made: object) -> object:
    """Give messages and documents, also those within, as what JSON can say."""
    dump: Callable[[], object] | None = getattr(made, "model_dump", None)
    if dump is not None:
        return dump()
    if isinstance(made, dict):
        return {key: _plain(value) for key, value in made.items()}
    if isinstance(made, (list, tuple)):
        return [_plain(value) for value in made]
    return made
