"""Models of ONNX, run by onnxruntime."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items, is_array, is_frame
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
)
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "onnx"
_FILE = "model.onnx"
_CPU = "CPUExecutionProvider"
PROVIDERS = ("CUDAExecutionProvider", _CPU)
"""What runs a model if nothing else is asked for, as far as it is there."""


class Node(Protocol):
    """An input or output of a session."""

    name: str
    type: str


class Session(Protocol):
    """A model in onnxruntime."""

    def get_inputs(self) -> Sequence[Node]:
        """Give what it takes."""

    def get_outputs(self) -> Sequence[Node]:
        """Give what it makes."""

    def run(self, names: Sequence[str], feed: Mapping[str, object]) -> Sequence[Items]:
        """Run it."""


def save_model(
    onnx_model: object,
    path: str | os.PathLike[str],
    onnx_execution_providers: Sequence[str] | None = None,
    onnx_session_options: Mapping[str, object] | None = None,
    save_as_external_data: bool = True,  # noqa: FBT001, FBT002 - as in MLflow
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        onnx_model: an `onnx.ModelProto`.
        path: the folder, new or empty.
        onnx_execution_providers: what is to run it, the best first.
        onnx_session_options: threads and optimizations: `inter_op_num_threads`,
            `intra_op_num_threads`, `execution_mode`, `graph_optimization_level`,
            `extra_session_config`.
        save_as_external_data: keep big tensors in files beside the model.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    content = _content(
        onnx_model, onnx_execution_providers, onnx_session_options, external=save_as_external_data
    )
    save(content, path, options)


def log_model(
    onnx_model: object,
    artifact_path: str | None = None,
    onnx_execution_providers: Sequence[str] | None = None,
    onnx_session_options: Mapping[str, object] | None = None,
    save_as_external_data: bool = True,  # noqa: FBT001, FBT002 - as in MLflow
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    content = _content(
        onnx_model, onnx_execution_providers, onnx_session_options, external=save_as_external_data
    )
    return log(content, artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give the `onnx.ModelProto`; `pyfunc.load_model` gives what predicts."""
    return load_model_of(NAME, model_uri, dst_path)


class OnnxFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.onnx"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model: its graph, or a session of onnxruntime if it is to predict."""
        path = inside(folder, settings.get("data", _FILE))
        version = settings.get("onnx_version")
        if "loader_module" in settings:
            return _session(path, settings)
        onnx = library("onnx", None, version)
        try:
            onnx.checker.check_model(str(path))
            model: object = onnx.load(str(path))
        except Exception as error:
            raise damaged(path, error, "onnx", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how a session predicts: a table from a table, else arrays by name."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = OnnxFlavor()


def _content(
    model: object,
    providers: Sequence[str] | None,
    session_options: Mapping[str, object] | None,
    *,
    external: bool,
) -> Content:
    def write(folder: Path) -> Written:
        onnx = library("onnx")
        onnx.save_model(model, str(folder / _FILE), save_as_external_data=external)
        settings = {
            "data": _FILE,
            "onnx_version": onnx.__version__,
            "onnx_session_options": dict(session_options) if session_options else None,
            "providers": list(providers or PROVIDERS),
        }
        pyfunc = {"loader_module": "mlflow.onnx", "data": _FILE}
        return Written(NAME, settings, pyfunc, frozenset({"onnx", "onnxruntime"}))

    def predict(data: object, params: Mapping[str, object] | None) -> object:
        runtime = library("onnxruntime")
        session: Session = runtime.InferenceSession(
            model.SerializeToString(),  # type: ignore[attr-defined]  # a message of protobuf
            providers=[_CPU],
        )
        return _predictor(session)(data, params)

    return Content(NAME, write, predict)


def _session(path: Path, settings: Settings) -> Session:
    runtime = library("onnxruntime")
    wanted = settings.get("providers") or PROVIDERS
    named = [wanted] if isinstance(wanted, str) else list(wanted)  # type: ignore[call-overload]
    there = set(runtime.get_available_providers())
    pairs = [tuple(item) if isinstance(item, list) else item for item in named]
    usable = [item for item in pairs if (item[0] if isinstance(item, tuple) else item) in there]
    try:
        session: Session = runtime.InferenceSession(
            str(path),
            providers=usable or [_CPU],
            sess_options=_session_options(runtime, settings.get("onnx_session_options")),
        )
    except Exception as error:
        raise damaged(path, error, "onnx", settings.get("onnx_version")) from error
    return session


def _session_options(runtime: Any, said: object) -> object:  # noqa: ANN401 - a module
    options = runtime.SessionOptions()
    if not isinstance(said, dict):
        return options
    for name in ("inter_op_num_threads", "intra_op_num_threads"):
        if said.get(name):
            setattr(options, name, int(said[name]))
    if said.get("execution_mode"):
        mode = f"ORT_{str(said['execution_mode']).upper()}"
        options.execution_mode = getattr(runtime.ExecutionMode, mode)
    if said.get("graph_optimization_level"):
        level = runtime.GraphOptimizationLevel(said["graph_optimization_level"])
        options.graph_optimization_level = level
    for key, value in (said.get("extra_session_config") or {}).items():
        options.add_session_config_entry(str(key), str(value))
    return options


def _predictor(session: Session) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        inputs = list(session.get_inputs())
        names = [output.name for output in session.get_outputs()]
        made = session.run(names, _narrowed(_feed(data, inputs), inputs))
        if not is_frame(data):
            return dict(zip(names, made))
        numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
        columns = {name: numpy.asarray(items).reshape(-1) for name, items in zip(names, made)}
        frame: object = pandas.DataFrame(columns)
        return frame

    return predict


def _feed(data: object, inputs: Sequence[Node]) -> dict[str, Items]:
    if isinstance(data, Mapping):
        return dict(data)
    if is_frame(data):
        if len(inputs) == 1:
            return {inputs[0].name: data.to_numpy()}
        return {node.name: data[node.name].to_numpy() for node in inputs}
    if not is_array(data):
        raise InvalidValueError(
            f"Input should be a dictionary or a numpy array or a pandas.DataFrame, got {type(data)}"
        )
    if len(inputs) != 1:
        raise InvalidValueError(
            "Numpy arrays can only be used as input for ONNX models that have a single input. This "
            f"model requires {len(inputs)} inputs: {[node.name for node in inputs]}"
        )
    return {inputs[0].name: data}


def _narrowed(feed: dict[str, Items], inputs: Sequence[Node]) -> dict[str, Items]:
    """Give 32 bits where the model takes no more: JSON and Python know 64 only."""
    narrow = {node.name for node in inputs if node.type == "tensor(float)"}
    return {
        name: items.astype("float32")  # type: ignore[attr-defined]  # an array
        if name in narrow and items.dtype.name == "float64"
        else items
        for name, items in feed.items()
    }
