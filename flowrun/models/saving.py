"""A model into a folder: what its flavor writes, and all that MLflow keeps beside it."""

from __future__ import annotations

import os
import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TypedDict, Union

from flowrun.errors import AlreadyExistsError, FlowrunError, InvalidValueError
from flowrun.models import requirements
from flowrun.models.example import Example, make_example
from flowrun.models.flavors.base import NOTHING, Content, Written
from flowrun.models.mlmodel import read_yaml, write_mlmodel
from flowrun.models.signature import ModelSignature, infer_from_example
from flowrun.version import __version__

Requirements = Union[str, Sequence[str]]
CODE = "code"
EXTRA = "extra_files"


class SaveOptions(TypedDict, total=False):
    """What `save_model` of every flavor takes, as MLflow calls it."""

    conda_env: Mapping[str, object] | str | None
    """What conda.yaml says, or the file that says it."""
    code_paths: Sequence[str] | None
    """Files and folders of Python code that the model needs; they are kept beside it."""
    signature: ModelSignature | bool | None
    """False: none, even if there is an example that tells it."""
    input_example: object
    """Data that the model takes; kept beside it, and the signature follows from it."""
    pip_requirements: Requirements | None
    """Lines for pip, or a file of them, instead of what is found out."""
    extra_pip_requirements: Requirements | None
    """Lines for pip beside what is found out."""
    metadata: Mapping[str, object] | None
    """Kept in the MLmodel file as it is."""
    extra_files: Sequence[str] | None
    """Files that are kept beside the model."""


@dataclass(frozen=True)
class Saved:
    """What was written."""

    fields: Mapping[str, object]
    """What the MLmodel file says."""
    signature: ModelSignature | None


def check_options(options: Mapping[str, object], allowed: type) -> None:
    """Refuse what a call does not take, as Python would.

    Raises:
        TypeError: there is such a thing.
    """
    unknown = sorted(set(options) - set(allowed.__annotations__))
    if unknown:
        raise TypeError(f"unexpected keyword argument '{unknown[0]}'")


def save(
    content: Content,
    path: str | os.PathLike[str],
    options: SaveOptions,
    identity: Mapping[str, object] = NOTHING,
) -> Saved:
    """Write a model and all that belongs to it into a folder.

    Args:
        content: the model, and how it is written.
        path: the folder; it is made, and must be empty if it is there.
        options: as the user gave them.
        identity: what the MLmodel file says of where the model belongs.

    Raises:
        AlreadyExistsError: something is in the folder. InvalidValueError: an option is wrong.
    """
    folder = Path(path)
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyExistsError(f"Path '{path}' already exists and is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    example = _example(options)
    written = content.write(folder)
    _copy(options.get("code_paths"), folder / CODE)
    _copy(options.get("extra_files"), folder / EXTRA)
    if example is not None:
        example.write(folder)
    signature = _signature(content, options, example)
    size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    fields: dict[str, object] = {
        "flavors": _flavors(written, options),
        "flowrun_version": __version__,
        "metadata": dict(options.get("metadata") or {}) or None,
        "model_size_bytes": size_bytes,
        "model_uuid": uuid.uuid4().hex,
        "saved_input_example_info": example.info if example else None,
        "signature": signature.to_dict() if signature else None,
        "is_signature_from_type_hint": False if signature else None,
        "type_hint_from_example": False if signature else None,
        "utc_time_created": str(datetime.now(timezone.utc).replace(tzinfo=None)),
        **identity,
    }
    write_mlmodel(folder, fields)
    _write_environment(folder, written, options, example)
    return Saved(fields, signature)


def _example(options: SaveOptions) -> Example | None:
    given = options.get("input_example")
    return None if given is None else make_example(given)


def _signature(
    content: Content, options: SaveOptions, example: Example | None
) -> ModelSignature | None:
    given = options.get("signature")
    if isinstance(given, ModelSignature):
        return given
    if given is not None and not isinstance(given, bool):
        return ModelSignature.from_dict(given.to_dict())  # MLflow's own
    if given is not None:
        return None
    if example is None or content.predict is None:
        return content.signature
    try:
        output = content.predict(example.data, example.params)
    except Exception as error:  # noqa: BLE001 - the user's model on the user's data
        warnings.warn(
            f"the model has no signature, since it fails on the input example: {error}",
            stacklevel=5,
        )
        return content.signature
    return infer_from_example(example.data, output, example.params)


def _flavors(written: Written, options: SaveOptions) -> dict[str, object]:
    code = CODE if options.get("code_paths") else None
    extra = [{"path": f"{EXTRA}/{Path(name).name}"} for name in options.get("extra_files") or ()]
    settings = {**written.settings, "code": code}
    flavors: dict[str, object] = {}
    if written.pyfunc is not None:
        flavors["python_function"] = {
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "python_version": requirements.python_version(),
            **written.pyfunc,
            "code": code,
        }
    if written.flavor != "python_function":
        flavors[written.flavor] = {**settings, "extra_files": extra} if extra else settings
    return flavors


def _write_environment(
    folder: Path, written: Written, options: SaveOptions, example: Example | None
) -> None:
    conda_env = options.get("conda_env")
    if conda_env is not None:
        if options.get("pip_requirements") or options.get("extra_pip_requirements"):
            raise InvalidValueError(
                "Only one of `conda_env`, `pip_requirements`, and `extra_pip_requirements` "
                "can be specified"
            )
        if not isinstance(conda_env, Mapping):
            conda_env = _conda_file(Path(conda_env))
        lines = requirements.pip_lines_of_conda(conda_env)
        requirements.write_environment(folder, lines, conda_env=conda_env)
        return
    modules = set(written.modules)
    if example is not None and example.info.get("type") == "dataframe":
        modules.add("pandas")
    if (folder / CODE).is_dir():
        own = {path.stem for path in (folder / CODE).iterdir()}
        modules |= requirements.modules_of_code([folder / CODE]) - own
    lines, constraints = requirements.chosen_requirements(
        requirements.requirements_of(modules),
        options.get("pip_requirements"),
        options.get("extra_pip_requirements"),
    )
    requirements.write_environment(folder, lines, constraints)


def _conda_file(path: Path) -> Mapping[str, object]:
    try:
        said = read_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InvalidValueError(f"conda_env '{path}': {error.strerror}") from error
    if not isinstance(said, dict):
        raise InvalidValueError(f"conda_env '{path}': a mapping is expected")
    return said


def _copy(names: Sequence[str] | None, into: Path) -> None:
    if isinstance(names, str):
        raise InvalidValueError(f"a list of paths is expected, not '{names}'")
    for name in names or ():
        source = Path(name)
        try:
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, into / source.name, ignore=ignore)
            else:
                into.mkdir(exist_ok=True)
                shutil.copyfile(source, into / source.name)
        except OSError as error:
            raise FlowrunError(f"'{name}' can't be kept with the model: {error}") from error
