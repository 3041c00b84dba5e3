"""Predictions as JSON, in the form that MLflow's scoring server gives them.

Source: MLflow 3.17, mlflow/utils/proto_json_utils.py: NumpyEncoder.
"""

from __future__ import annotations

import base64
import datetime
import json

from flowrun.models.arrays import is_array, is_column, is_frame, is_numpy_scalar


def predictions_json(predictions: object, *, is_bare: bool = False) -> bytes:
    """Give a prediction as JSON: `{"predictions": ...}`, or bare.

    nan is written as `NaN`, which is what MLflow's clients read.

    Raises:
        TypeError, ValueError: the model gave something that JSON can't say.
    """
    plain = _plain(predictions)
    return json.dumps(plain if is_bare else {"predictions": plain}, default=_said).encode()


def _plain(predictions: object) -> object:
    if is_array(predictions):
        return predictions.tolist()
    if is_frame(predictions):
        return _records(predictions)
    if is_column(predictions):
        return _records(predictions.to_frame())  # type: ignore[attr-defined]  # of pandas
    return predictions


def _records(frame: object) -> object:
    records: object = frame.to_dict(orient="records")  # type: ignore[attr-defined]  # of pandas
    return records


def _said(value: object) -> object:
    if is_array(value):
        if value.dtype.kind == "S":
            return [_said(item) if isinstance(item, bytes) else item for item in value.tolist()]
        return value.tolist()
    if is_numpy_scalar(value):
        if value.dtype.kind == "M":  # type: ignore[attr-defined]  # of numpy
            return str(value)
        return value.item()  # type: ignore[attr-defined]  # of numpy
    if isinstance(value, (bytes, bytearray)):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    dump = getattr(value, "model_dump", None)  # pydantic's models
    if dump is not None:
        return dump()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
