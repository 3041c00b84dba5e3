"""The MLmodel file: what a model is, said in YAML. Reading it loads no model and runs nothing.

Source: https://mlflow.org/docs/latest/ml/model/#model-signatures-and-input-examples and MLflow
3.17, mlflow/models/model.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.block_yaml import NotBlockYamlError, parse
from flowrun.models.block_yaml_writing import dump

MLMODEL = "MLmodel"
"""The file's name, in the model's own folder."""

_MAX_BYTES = 10_000_000
"""A signature with thousands of columns is far smaller; what is bigger is no MLmodel file."""


@dataclass(frozen=True)
class MlModel:
    """What an MLmodel file says; what it does not say is None."""

    flavors: Mapping[str, Mapping[str, object]]
    """How the model can be loaded: name of the flavor to its own settings."""
    run_id: str | None
    model_id: str | None
    """The logged model it is (MLflow 3)."""
    model_uuid: str | None
    utc_time_created: str | None
    mlflow_version: str | None
    signature: Mapping[str, object] | None
    """`inputs`, `outputs` and `params`, each a JSON text of MLflow's making."""
    raw: Mapping[str, object]
    """Everything, as it was read."""


def write_mlmodel(folder: Path, fields: Mapping[str, object]) -> None:
    """Write the MLmodel file of a folder; what is None is left out."""
    said = {key: value for key, value in sorted(fields.items()) if value is not None}
    (folder / MLMODEL).write_text(dump(said), encoding="utf-8")


def read_mlmodel(source: Path | str) -> MlModel:
    """Give what an MLmodel file says.

    Args:
        source: a model's folder, or the file's text.

    Raises:
        NotFoundError: the folder has no MLmodel file. InvalidValueError: it is no MLmodel file.
    """
    if isinstance(source, Path):
        return _parse(_read(source / MLMODEL), str(source / MLMODEL))
    return _parse(source, MLMODEL)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidValueError(f"{path}: too big for an MLmodel file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            f"{path.parent} is no model: it has no MLmodel file",
            "A model is a folder as mlflow.<flavor>.save_model writes it.",
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _parse(text: str, where: str) -> MlModel:
    raw = read_yaml(text, where)
    if not isinstance(raw, dict):
        raise InvalidValueError(f"{where}: a mapping is expected, not {type(raw).__name__}")
    flavors = raw.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise InvalidValueError(f"{where}: 'flavors' is missing, so nothing says how to load it")
    for name, settings in flavors.items():
        if not isinstance(settings, dict):
            raise InvalidValueError(f"{where}: flavor '{name}' is not a mapping of settings")
    signature = raw.get("signature")
    return MlModel(
        flavors={str(name): settings for name, settings in flavors.items()},
        run_id=_text(raw, "run_id"),
        model_id=_text(raw, "model_id"),
        model_uuid=_text(raw, "model_uuid"),
        utc_time_created=_text(raw, "utc_time_created"),
        mlflow_version=_text(raw, "mlflow_version"),
        signature=signature if isinstance(signature, dict) else None,
        raw=raw,
    )


def read_yaml(text: str, where: str) -> object:
    """Give what a YAML text says.

    Raises:
        InvalidValueError: it is none; `where` names it in the message.
    """
    try:
        return parse(text)
    except NotBlockYamlError as error:
        strange = error
    try:
        # By name: a step's environment may have no PyYAML, and needs it only here.
        full_yaml = importlib.import_module("flowrun.models.full_yaml")
    except ModuleNotFoundError:
        raise InvalidValueError(
            f"{where}: {strange} is written in a way that is only read with PyYAML",
            "Install it: pip install pyyaml",
        ) from None
    loaded: object = full_yaml.parse(text, where)
    return loaded


def _text(raw: Mapping[str, object], key: str) -> str | None:
    value = raw.get(key)
    return None if value is None else str(value)
