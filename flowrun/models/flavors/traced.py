"""Traced graphs of PyTorch (pt2): they hold no code of a model's own, but may hold pickles."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from flowrun.errors import InvalidValueError, PermissionDeniedError
from flowrun.models.arrays import is_array
from flowrun.models.flavors.base import damaged
from flowrun.models.inner_paths import check_archive
from flowrun.tracking.light_session import is_pickle_allowed

_WORDS = frozenset(
    {"version", "archive_format", "archive_version", "byteorder", "serialization_id"}
)
"""Records of a traced graph that are a word each."""


def write_traced(torch: ModuleType, model: object, example: object, path: Path) -> None:
    """Trace a model on an example, an array or several, and write its graph.

    Raises:
        InvalidValueError: the example is none of these.
    """
    arrays = [example] if is_array(example) else example
    if not isinstance(arrays, (list, tuple)) or not all(is_array(item) for item in arrays):
        raise InvalidValueError(
            "If `serialization_format` is set to 'pt2', then input_example is required: an array, "
            "or a tuple of arrays, of more than one row"
        )
    inputs = tuple(torch.from_numpy(array) for array in arrays)
    shapes = [{0: torch.export.Dim.AUTO} for _ in inputs]
    program: Any = torch.export.export(model, inputs, dynamic_shapes=shapes)
    program.example_inputs = None  # would be kept as a pickle
    torch.export.save(program, str(path))


def load_traced(torch: ModuleType, path: Path, version: object) -> object:
    """Read a graph; `version` is that of the PyTorch that wrote it.

    Raises:
        PermissionDeniedError: it may hold pickles, and these are forbidden. InvalidValueError: it
            is damaged.
    """
    check_archive(path)
    if not is_pickle_allowed():
        _check_no_pickle(path)
    try:
        model: object = torch.export.load(str(path)).module()
    except Exception as error:
        raise damaged(path, error, "torch", version) from error
    return model


def _check_no_pickle(path: Path) -> None:
    """Refuse an archive with anything that torch might unpickle: the example it was traced on too.

    What is known to be no pickle is let through: JSON, the plain bytes of tensors, a few words.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            plain = set(_plain_tensors(archive))
            others = [
                item.filename
                for item in archive.infolist()
                if item.file_size > 0
                and item.filename not in plain
                and not item.filename.endswith(".json")
                and not (item.filename.rpartition("/")[2] in _WORDS and item.file_size <= 64)
            ]
    except (zipfile.BadZipFile, ValueError, AttributeError) as error:
        raise damaged(path, error, "torch", None) from error
    if others:
        raise PermissionDeniedError(
            f"{path} may hold pickles ({', '.join(others[:3])}), which FLOWRUN_ALLOW_PICKLE "
            "forbids",
            "Save the model with flowrun, or keep its weights by save_state_dict.",
        )


def _plain_tensors(archive: zipfile.ZipFile) -> Iterator[str]:
    """Give the records that hold nothing but the bytes of tensors, as the archive's lists say."""
    for name in archive.namelist():
        if not name.endswith("_config.json"):
            continue
        entries: Mapping[str, Any] = json.loads(archive.read(name)).get("config", {})
        for entry in entries.values():
            record = str(entry.get("path_name"))
            if entry.get("use_pickle") is False and record.startswith(("weight_", "tensor_")):
                yield f"{name.rpartition('/')[0]}/{record}"
