"""Reads the body of a scoring request, in any of MLflow's forms, into data for a model.

Source: MLflow 3.17, mlflow/pyfunc/scoring_server: which forms there are, what each becomes, and the
words in which a wrong one is refused.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.flavors.base import library
from flowrun.models.schema import DataType, Schema
from flowrun.models.scoring.json_data import inputs_data, instances_data
from flowrun.models.scoring.replies import JSON
from flowrun.models.scoring.tables import (
    DTYPES,
    Table,
    frame_of_records,
    frame_of_split,
    table_of_records,
    table_of_split,
)
from flowrun.models.signature import ModelSignature

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
CONTENT_TYPES = [CSV, JSON, PARQUET]

_SPLIT, _RECORDS = "dataframe_split", "dataframe_records"
FORMS = (_SPLIT, _RECORDS, "instances", "inputs")
_CHAT_KEYS = frozenset({"messages", "prompt", "input"})
_EXACTLY_ONE = (
    "The input must be a JSON dictionary with exactly one of the input fields "
    "{'dataframe_records', 'dataframe_split', 'inputs', 'instances'}"
)


def _found_orjson() -> ModuleType | None:
    try:
        return importlib.import_module("orjson")
    except ModuleNotFoundError:
        return None


_orjson = _found_orjson()


class UnknownContentTypeError(UnsupportedError):
    """The body is of a kind that is not read."""


class BadRequestError(InvalidValueError):
    """The body can't be read as what it says it is."""


@dataclass(frozen=True)
class Request:
    """What a model is asked to predict from."""

    data: object
    """A frame, an array, or what JSON says; a `Table` has been checked against the signature."""
    params: Mapping[str, object] | None = None
    is_bare: bool = False
    """The answer is the prediction itself, as chat models give it."""


def read_request(
    body: bytes, content_type: str, signature: ModelSignature | None, *, takes_raw: bool = False
) -> Request:
    """Give what a body asks for.

    Args:
        body: as it came.
        content_type: of the header, with its parameters.
        signature: of the model.
        takes_raw: the model takes JSON as it is (its signature comes from type hints).

    Raises:
        UnknownContentTypeError: nothing of this kind is read. BadRequestError: it is damaged, or
            does not fit the signature.
    """
    kind = _kind_of(content_type)
    schema = signature.inputs if signature else None
    if kind == JSON:
        return _of_json(body, signature, takes_raw=takes_raw)
    if kind == CSV:
        return Request(_of_csv(body, schema))
    return Request(_of_parquet(body))


def _kind_of(content_type: str) -> str:
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    given = {name: value for name, _, value in (text.partition("=") for text in parameters)}
    if given.get("charset", "utf-8").lower() != "utf-8":
        raise UnknownContentTypeError("The scoring server only supports UTF-8")
    unknown = sorted(set(given) - {"charset"})
    if unknown:
        raise UnknownContentTypeError(
            f"Unrecognized content type parameters: {', '.join(unknown)}."
        )
    if kind not in CONTENT_TYPES:
        raise UnknownContentTypeError(
            f"This predictor only supports the following content types: Types: {CONTENT_TYPES}. "
            f"Got '{content_type}'."
        )
    return kind


def _of_json(body: bytes, signature: ModelSignature | None, *, takes_raw: bool) -> Request:
    said = _read_json(body)
    if not _CHAT_KEYS.isdisjoint(said):
        schema = signature.params if signature else None
        names = {spec.name for spec in schema.params} if schema else set()
        chosen = {name: value for name, value in said.items() if name in names}
        data = {name: value for name, value in said.items() if name not in names}
        return Request(data, chosen, is_bare=True)
    params = said.get("params")
    if params is not None and not isinstance(params, dict):
        raise BadRequestError(f"Invalid input. 'params' must be a dictionary, not {params!r:.80}.")
    given = [form for form in FORMS if form in said]
    if takes_raw:
        if "inputs" not in said:
            raise BadRequestError(
                "Request payload must be a dictionary with 'inputs' key when the model contains a "
                f"valid type hint. Found keys in payload: {list(said)}."
            )
        return Request(said["inputs"], params)
    if len(given) != 1:
        raise BadRequestError(
            f"{_EXACTLY_ONE}. Received dictionary with input fields: {list(said)}."
        )
    return Request(_data(given[0], said[given[0]], signature.inputs if signature else None), params)


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        said = _parse(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(
            f"Invalid input. Ensure that input is a valid JSON formatted string. Error: '{error!r}'"
        ) from error
    if isinstance(said, dict):
        return said
    if isinstance(said, list):
        raise BadRequestError(f"Invalid input. {_EXACTLY_ONE}. Received a list.")
    raise BadRequestError(
        f"Invalid input. {_EXACTLY_ONE}. Received unexpected input type '{type(said)}."
    )


def _parse(body: bytes) -> object:
    """Parse JSON; by orjson if that is there, which reads large tables five times as fast."""
    if _orjson is not None:
        try:
            said: object = _orjson.loads(body)
        except ValueError:
            pass  # it knows no NaN, which MLflow's clients send; or it is no JSON at all
        else:
            return said
    return json.loads(body)


def _data(form: str, said: object, schema: Schema | None) -> object:
    try:
        if form == _SPLIT:
            table: Table | None = table_of_split(said, schema)
            return frame_of_split(said, schema) if table is None else table
        if form == _RECORDS:
            table = table_of_records(said, schema)
            return frame_of_records(said, schema) if table is None else table
        table = table_of_records(said, schema)
        if table is not None:
            return table
        return instances_data(said, schema) if form == "instances" else inputs_data(said, schema)
    except InvalidValueError as error:
        raise BadRequestError(f"Invalid input. {error.message}", error.hint) from error


def _of_csv(body: bytes, schema: Schema | None) -> object:
    columns = [spec for spec in schema.columns if spec.name is not None] if schema else []
    kinds = {str(spec.name): spec.kind for spec in columns}
    types = {
        name: DTYPES.get(kind, "object")
        for name, kind in kinds.items()
        if isinstance(kind, DataType) and kind in {*DTYPES, DataType.string}
    }
    dates = [name for name, kind in kinds.items() if kind is DataType.datetime]
    pandas: Any = library("pandas")
    try:
        frame = pandas.read_csv(io.StringIO(body.decode()), dtype=types)
        for name in dates:
            if name in frame:
                frame[name] = pandas.to_datetime(frame[name])
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequestError(
            "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid "
            "CSV-formatted Pandas DataFrame produced using the `pandas.DataFrame.to_csv()` method. "
            f"Error: '{error}'"
        ) from error
    result: object = frame
    return result


def _of_parquet(body: bytes) -> object:
    library("pyarrow")
    pandas = library("pandas")
    try:
        frame: object = pandas.read_parquet(io.BytesIO(body))
    except (ValueError, TypeError, OSError) as error:
        raise BadRequestError(
            "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid Parquet "
            "Pandas DataFrame produced using the `pandas.DataFrame.to_parquet()` method. "
            f"Error: '{error}'"
        ) from error
    return frame
