"""From the body of a request to the body of its answer, by one loaded model."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

from flowrun.errors import FlowrunError
from flowrun.models.arrays import is_array, is_column, is_frame
from flowrun.models.flavors.base import library
from flowrun.models.flavors.pyfunc import PyFuncModel
from flowrun.models.scoring.answers import predictions_json
from flowrun.models.scoring.replies import JSON, TEXT, Body, Reply, problem
from flowrun.models.scoring.requests import (
    BadRequestError,
    Request,
    UnknownContentTypeError,
    read_request,
)
from flowrun.models.scoring.tables import Table


class Scorer:
    """Answers requests by a model."""

    def __init__(self, model: PyFuncModel) -> None:
        """Take the model."""
        self._model = model
        self._takes_raw = bool(model.metadata.raw.get("is_signature_from_type_hint"))

    def answer(self, bodies: Sequence[Body]) -> list[Reply]:
        """Answer several requests; rows of the same table are predicted in one call.

        One that can't be read, or fails, does not touch the others.
        """
        read = [self._read(body) for body in bodies]
        together = self._together(read) if len(bodies) > 1 else None
        if together is not None:
            return together
        return [made if isinstance(made, Reply) else self._one(made) for made in read]

    def _read(self, body: Body) -> Request | Reply:
        try:
            return read_request(
                body.content, body.content_type, self._model.signature, takes_raw=self._takes_raw
            )
        except UnknownContentTypeError as error:
            return Reply(415, TEXT, str(error).encode())
        except BadRequestError as error:
            return problem("BAD_REQUEST", str(error))
        except FlowrunError as error:
            return problem("INVALID_PARAMETER_VALUE", str(error))
        except Exception as error:  # noqa: BLE001 - no request may end the process
            traceback.print_exc(file=sys.stderr)
            return problem("BAD_REQUEST", f"Invalid input. {type(error).__name__}: {error}")

    def _one(self, request: Request) -> Reply:
        try:
            made = self._predict(request)
        except FlowrunError as error:
            return problem("INVALID_PARAMETER_VALUE", f"Failed to predict data.\nError: {error}")
        except Exception as error:  # noqa: BLE001 - the user's model
            return _failed(error)
        return _answer(made, is_bare=request.is_bare)

    def _predict(self, request: Request) -> object:
        if isinstance(request.data, Table):
            return self._model.predict_enforced(request.data.frame(), request.params)
        return self._model.predict(request.data, request.params)

    def _together(self, read: Sequence[Request | Reply]) -> list[Reply] | None:
        """Answer all in one call; None if they have to be answered one by one."""
        tables: list[Table] = []
        for request in read:
            if isinstance(request, Reply):
                continue
            if request.params or not isinstance(request.data, Table):
                return None
            tables.append(request.data)
        if len(tables) < 2:
            return None
        numpy = library("numpy")
        values = numpy.concatenate([table.values for table in tables])
        try:
            made = self._model.predict_enforced(Table(tables[0].names, values).frame(), None)
        except Exception:  # noqa: BLE001 - which of them it was, shows one by one
            return None
        parts = _split(made, [len(table.values) for table in tables])
        if parts is None:
            return None
        rest = iter(parts)
        return [made if isinstance(made, Reply) else _answer(next(rest)) for made in read]


def _answer(made: object, *, is_bare: bool = False) -> Reply:
    try:
        return Reply(200, JSON, predictions_json(made, is_bare=is_bare))
    except (TypeError, ValueError, RecursionError) as error:
        return problem("BAD_REQUEST", f"The model's prediction can't be said in JSON: {error}")


def _failed(error: Exception) -> Reply:
    """Answer for a model that raised; its story goes to the log, not to the caller."""
    traceback.print_exc(file=sys.stderr)
    return problem(
        "BAD_REQUEST",
        "Encountered an unexpected error while evaluating the model. Verify that the serialized "
        f"input Dataframe is compatible with the model for inference. {type(error).__name__}: "
        f"{error}",
    )


def _split(made: object, counts: Sequence[int]) -> list[object] | None:
    """Cut what a model made of several tables; None if it isn't one item a row."""
    if not (is_array(made) or is_frame(made) or is_column(made) or isinstance(made, list)):
        return None
    if len(made) != sum(counts):
        return None
    rows: Any = made.iloc if is_frame(made) or is_column(made) else made  # type: ignore[union-attr]  # of pandas
    parts, start = [], 0
    for count in counts:
        parts.append(rows[start : start + count])
        start += count
    return parts
