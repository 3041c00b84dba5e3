"""The input example that lies beside a model, in the files that MLflow keeps it in.

`input_example.json` holds it as it was given, `serving_input_example.json` as a request to a
scoring server has it. Source: MLflow 3.17, mlflow/models/utils.py.
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.arrays import (
    Frame,
    SparseMatrix,
    is_array,
    is_column,
    is_frame,
    is_missing,
    is_numpy_scalar,
    is_sparse,
)
from flowrun.models.inner_paths import inside
from flowrun.models.schema import DataType, Schema

INPUT_EXAMPLE = "input_example.json"
SERVING_EXAMPLE = "serving_input_example.json"


@dataclass(frozen=True)
class Example:
    """An example of what a model takes."""

    data: object
    """What is given to the model."""
    params: Mapping[str, object] | None
    """What is set with the prediction."""
    info: Mapping[str, object]
    """What the MLmodel file says of it."""
    input_json: str
    serving_json: str

    def write(self, folder: Path) -> None:
        """Write both files."""
        (folder / INPUT_EXAMPLE).write_text(self.input_json, encoding="utf-8")
        (folder / SERVING_EXAMPLE).write_text(self.serving_json, encoding="utf-8")


def make_example(given: object) -> Example:
    """Give the example for data, or for a pair of data and parameters.

    Raises:
        InvalidValueError: it is of no kind that examples have.
    """
    data, params = given, None
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):
        data, params = given
    info, content, serving = _forms(data)
    common: dict[str, object] = {
        "artifact_path": INPUT_EXAMPLE,
        "serving_input_path": SERVING_EXAMPLE,
        **info,
    }
    saved: object = content
    if params is not None:
        common["params"] = "true"
        saved = {"data": content, "params": params}
        serving = {**serving, "params": params}
    return Example(data, params, common, _json(saved), _json(serving))


def read_example(folder: Path, info: Mapping[str, object], schema: Schema | None) -> object:
    """Give the data of the example of a model's folder, of the kind it was given in.

    Args:
        folder: the model's.
        info: what the MLmodel file says of it.
        schema: of the model's inputs: JSON has no dates, and numbers of one kind only.

    Raises:
        NotFoundError: its file is gone. InvalidValueError: it is damaged.
    """
    path = folder / INPUT_EXAMPLE
    if not path.is_file():
        raise NotFoundError(f"the input example is gone: {path}")
    try:
        content: object = json.loads(inside(folder, INPUT_EXAMPLE).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"{path}: not JSON: {error}") from error
    try:
        return _read(content, info, schema)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        reason = f"{type(error).__name__}: {error!s:.200}"
        raise InvalidValueError(f"{path} is not what the MLmodel file says: {reason}") from error


def _read(content: object, info: Mapping[str, object], schema: Schema | None) -> object:
    if info.get("params") and isinstance(content, dict):
        content = content.get("data")
    kind = info.get("type")
    if kind == "json_object":
        return content
    if kind == "ndarray":
        return _arrays(content, schema)
    if kind == "dataframe":
        return _frame(content, schema)
    if kind in ("sparse_matrix_csr", "sparse_matrix_csc") and isinstance(content, dict):
        sparse = importlib.import_module("scipy.sparse")
        parts = (content["data"], content["indices"], content["indptr"])
        make = sparse.csr_matrix if kind == "sparse_matrix_csr" else sparse.csc_matrix
        matrix: object = make(parts, shape=tuple(content["shape"]))
        return matrix
    raise ValueError(f"examples of type '{kind}' are not known")


def _forms(data: object) -> tuple[dict[str, object], object, dict[str, object]]:
    """Give what MLmodel says of it, the content of its file, and the request with it."""
    if is_frame(data):
        content = _split(data)
        orient = "split" if "columns" in content else "values"
        return {"type": "dataframe", "pandas_orient": orient}, content, {"dataframe_split": content}
    if is_sparse(data):
        return _sparse_forms(data)
    if is_column(data):
        data = data.to_numpy()
    if is_array(data):
        return {"type": "ndarray"}, data, {"inputs": data}
    if isinstance(data, Mapping) and any(is_array(value) for value in data.values()):
        if not all(is_array(value) for value in data.values()):
            raise InvalidValueError("input_example mixes arrays and other values in one mapping")
        return {"type": "ndarray"}, data, {"inputs": data}
    if isinstance(data, list) and any(is_array(item) for item in data):
        raise InvalidValueError("input_example is a list of arrays; give one array, or a mapping")
    return {"type": "json_object"}, data, {"inputs": data}


def _sparse_forms(data: SparseMatrix) -> tuple[dict[str, object], object, dict[str, object]]:
    content = {
        "data": data.data,
        "indices": data.indices,
        "indptr": data.indptr,
        "shape": list(data.shape),
    }
    return {"type": f"sparse_matrix_{data.format}"}, content, {"inputs": data.toarray()}


def _split(frame: Frame) -> dict[str, object]:
    names = frame.columns.tolist()
    rows = [list(row) for row in zip(*(frame[name].tolist() for name in names))]
    is_numbered = names == list(range(len(names)))
    return {"data": rows} if is_numbered else {"columns": names, "data": rows}


def _json(value: object) -> str:
    try:
        return json.dumps(_plain(value), indent=None)
    except TypeError as error:
        raise InvalidValueError(f"input_example can't be kept as JSON: {error}") from None


def _plain(value: object) -> object:
    """Give what JSON has for it: nan becomes null, bytes become base64, dates ISO 8601."""
    if isinstance(value, (str, bool, int)) or is_missing(value):
        return None if is_missing(value) else value
    if isinstance(value, Mapping):
        return {key if isinstance(key, int) else str(key): _plain(v) for key, v in value.items()}
    if is_array(value) and value.dtype.kind in "biufU":
        return _without_nan(value.tolist()) if value.dtype.kind == "f" else value.tolist()
    if is_array(value) or is_column(value) or is_numpy_scalar(value):
        listed: object = value.tolist()  # type: ignore[attr-defined]  # scalars have it too
        return _plain(listed)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    isoformat = getattr(value, "isoformat", None)
    return value if isoformat is None else isoformat()


def _without_nan(value: object) -> object:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if is_missing(value) else value


def _arrays(content: object, schema: Schema | None) -> object:
    numpy = importlib.import_module("numpy")
    kinds = {spec.name: spec.type for spec in schema.tensors} if schema else {}
    if isinstance(content, dict):
        return {name: numpy.array(value, kinds.get(name)) for name, value in content.items()}
    array: object = numpy.array(content, kinds.get(None))
    return array


def _frame(content: object, schema: Schema | None) -> object:
    pandas = importlib.import_module("pandas")
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise InvalidValueError("the input example is no table: 'data' is missing")
    frame = pandas.DataFrame(content["data"], columns=content.get("columns"))
    for spec in schema.columns if schema else ():
        if spec.name is None or spec.name not in frame:
            continue
        if spec.kind is DataType.binary:
            frame[spec.name] = [base64.b64decode(item) for item in frame[spec.name]]
        elif spec.kind is DataType.datetime:
            frame[spec.name] = pandas.to_datetime(frame[spec.name])
        elif spec.kind in _NUMPY_TYPES and not frame[spec.name].isna().any():
            frame[spec.name] = frame[spec.name].astype(_NUMPY_TYPES[spec.kind])
    result: object = frame
    return result


_NUMPY_TYPES = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
}
