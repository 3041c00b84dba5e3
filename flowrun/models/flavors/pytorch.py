"""Models of PyTorch: as a pickle, or as a traced graph (pt2), which holds no code of its own.

Weights alone (a state dict) are kept by safetensors.
"""

from __future__ import annotations

import importlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import is_array, is_frame
from flowrun.models.autolog import switch
from flowrun.models.autolog.switch import AutologOptions
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
    refuse_pickle,
)
from flowrun.models.flavors.traced import load_traced, write_traced
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.places import local_copy_of_folder
from flowrun.models.requirements import modules_of_pickle
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    from typing import Unpack

NAME = "pytorch"
_DATA = "data"
_PICKLED = "model.pth"
_TRACED = "model.pt2"
_STATE = "state_dict.safetensors"
_PICKLER = "mlflow.pytorch.pickle_module"
"""What MLflow loads by: cloudpickle with the loader of pickle. Here pickle's loader is enough."""


class Module(Protocol):
    """A `torch.nn.Module`."""

    def eval(self) -> object:
        """Prepare it for predictions."""

    def state_dict(self) -> Mapping[str, object]:
        """Give its weights."""

    def __call__(self, *inputs: object, **more: object) -> object:
        """Predict."""


def save_model(
    pytorch_model: Module,
    path: str | os.PathLike[str],
    serialization_format: str | None = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        pytorch_model: the model.
        path: the folder, new or empty.
        serialization_format: "pickle", which is the default, or "pt2": the graph as
            `torch.export` traces it on the input example, of arrays of more than one row.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    content = _content(pytorch_model, serialization_format, options.get("input_example"))
    save(content, path, options)


def log_model(
    pytorch_model: Module,
    artifact_path: str | None = None,
    serialization_format: str | None = None,
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    content = _content(pytorch_model, serialization_format, options.get("input_example"))
    return log(content, artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a model, ready to predict; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


def save_state_dict(state_dict: Mapping[str, object], path: str | os.PathLike[str]) -> None:
    """Write weights into a folder, by safetensors.

    Args:
        state_dict: names to tensors, as `model.state_dict()` gives them.
        path: the folder; it is made if it is not there.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = library("safetensors.torch", "safetensors")
    # A tensor that shares its memory with another can't be kept as it is.
    copies = {name: tensor.contiguous().clone() for name, tensor in state_dict.items()}  # type: ignore[attr-defined]
    tensors.save_file(copies, str(folder / _STATE))


def load_state_dict(
    state_dict_uri: str, dst_path: str | os.PathLike[str] | None = None
) -> Mapping[str, object]:
    """Give weights that `save_state_dict` wrote, for `model.load_state_dict`.

    Args:
        state_dict_uri: of the folder: a path, or `runs:/...`.
        dst_path: where it is copied to.
    """
    path = inside(local_copy_of_folder(state_dict_uri, dst_path), _STATE)
    tensors = library("safetensors.torch", "safetensors")
    try:
        weights: Mapping[str, object] = tensors.load_file(str(path))
    except Exception as error:
        raise damaged(path, error, "safetensors", None) from error
    return weights


def autolog(**options: Unpack[AutologOptions]) -> None:
    """Log each training of this library from now on; see `flowrun.autolog`."""
    switch.autolog(**options, libraries=(NAME,))


class PytorchFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.pytorch"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model."""
        version = settings.get("pytorch_version")
        torch = library("torch", None, version)
        data = inside(folder, settings.get("model_data", settings.get("data", _DATA)))
        traced = data / _TRACED
        if traced.exists():
            return load_traced(torch, traced, version)
        path = inside(folder, f"{data.relative_to(folder.resolve())}/{_PICKLED}")
        refuse_pickle(f"the pickle {path}", "Save the model with serialization_format='pt2'.")
        try:
            place = _device(torch)
            model: Module = torch.load(str(path), map_location=place, weights_only=False)
        except ModuleNotFoundError as error:
            library(error.name or "?")
            raise
        except Exception as error:
            raise damaged(path, error, "torch", version) from error
        model.eval()
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts: a table from a table, an array from an array."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = PytorchFlavor()


def _content(model: Module, form: str | None, example: object) -> Content:
    if form not in (None, "pickle", "pt2"):
        raise InvalidValueError(
            "The `serialization_format` param value must be one of 'pickle' or 'pt2'."
        )

    def write(folder: Path) -> Written:
        torch = library("torch")
        (folder / _DATA).mkdir()
        modules = {"torch"}
        if form == "pt2":
            write_traced(torch, model, example, folder / _DATA / _TRACED)
        else:
            cloudpickle = library("cloudpickle")
            path = folder / _DATA / _PICKLED
            torch.save(model, str(path), pickle_module=cloudpickle)
            (folder / _DATA / "pickle_module_info.txt").write_text(_PICKLER)
            modules |= {"cloudpickle", *_modules_of(path)}
        settings = {"model_data": _DATA, "pytorch_version": str(torch.__version__)}
        pyfunc = {
            "loader_module": "mlflow.pytorch",
            "data": _DATA,
            "pickle_module_name": _PICKLER,
            "config": {"device": None},
        }
        return Written(NAME, settings, pyfunc, frozenset(modules))

    return Content(NAME, write, _predictor(model))


def _modules_of(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return {module for name in pickles for module in modules_of_pickle(archive.read(name))}


def _device(torch: ModuleType) -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _predictor(model: Module) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        torch: Any = library("torch")
        if is_frame(data):
            array: Any = data.to_numpy()
            array = array.astype("float32")
        elif is_array(data):
            array = data
        else:
            raise InvalidValueError(
                f"Input data should be pandas.DataFrame or numpy.ndarray, not {type(data)}"
            )
        weights: Sequence[Any] = list(model.state_dict().values())
        device = weights[0].device if weights else _device(torch)
        with torch.no_grad():
            made: Any = model(torch.from_numpy(array).to(device), **(params or {}))
        if not isinstance(made, torch.Tensor):
            raise InvalidValueError(
                f"Expected PyTorch model to output a single output tensor, but got {type(made)}"
            )
        numbers: object = made.cpu().numpy()
        if not is_frame(data):
            return numbers
        frame: object = importlib.import_module("pandas").DataFrame(numbers, index=data.index)
        return frame

    return predict
