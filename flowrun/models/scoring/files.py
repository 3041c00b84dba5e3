"""Predicts from a file into a file, in the model's own environment and in constant memory.

    python -m flowrun.models.scoring.files TASK

TASK is a `Task` in JSON. Each line written to its descriptor `told` is JSON: how many rows are
done, or why it failed.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from flowrun.errors import FlowrunError, InvalidValueError, StoreError
from flowrun.models.flavors.base import library
from flowrun.models.flavors.pyfunc import PyFuncModel, load_model
from flowrun.models.schema import Schema
from flowrun.models.scoring.answers import predictions_json
from flowrun.models.scoring.csv_tables import csv_tables
from flowrun.models.scoring.predictions import CSV, JSON, open_writer
from flowrun.models.scoring.requests import BadRequestError, read_request
from flowrun.models.scoring.tables import Table


@dataclass(frozen=True)
class Task:
    """What is to be predicted."""

    folder: str
    """The model's."""
    input: str | None
    """A file; None: standard input."""
    output: str | None
    """A file, made when all is done; None: standard output."""
    form: str
    """`csv`, `json` or `parquet`."""
    output_form: str
    params: Mapping[str, object] | None
    rows: int
    """How many are read and predicted at once."""
    told: int
    """A descriptor to tell of progress and failure."""

    def to_json(self) -> str:
        """Give it for the command line."""
        return json.dumps(asdict(self))


def main() -> None:
    """Carry out the task of the command line; the exit code is 1 if it failed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    task = Task(**json.loads(sys.argv[1]))
    with os.fdopen(task.told, "w", encoding="utf-8", buffering=1) as told:
        try:
            # What a model prints must not get among the predictions.
            output = os.fdopen(os.dup(1), "wb")
            os.dup2(2, 1)
            model = load_model(task.folder)
            _carry_out(task, model, output, told)
        except FlowrunError as error:
            _tell(told, error)
            sys.exit(1)


def _carry_out(task: Task, model: PyFuncModel, output: IO[bytes], told: IO[str]) -> None:
    try:
        with output, _output(task, output) as file:
            _predict(task, model, file, told)
    except OSError as error:
        where = task.output or "standard output"
        why = error.strerror or error
        raise StoreError(f"the predictions can't be written to {where}: {why}") from error


def _tell(told: IO[str], error: FlowrunError) -> None:
    said = {"failed": type(error).__name__, "message": error.message, "hint": error.hint}
    told.write(json.dumps(said) + "\n")


def _end(number: int, frame: object) -> None:
    """End by a signal, with no half output left."""
    del frame
    sys.exit(128 + number)


def _predict(task: Task, model: PyFuncModel, file: IO[bytes], told: IO[str]) -> None:
    if task.form == JSON:
        _predict_request(task, model, file)
        return
    schema = model.signature.inputs if model.signature else None
    writer = open_writer(task.output_form, file)
    done = 0
    for frame in _tables(task, schema):
        last = done + len(frame)
        rows = f"row {last}" if len(frame) == 1 else f"rows {done + 1} to {last}"
        where = f"{_name(task)}, {rows}"
        writer.write(_made(model, frame, task.params, where))
        done += len(frame)
        told.write(json.dumps({"done": done}) + "\n")
    writer.close()


def _predict_request(task: Task, model: PyFuncModel, file: IO[bytes]) -> None:
    """Predict from a scoring request; the answer is that of a server, unless asked otherwise."""
    with _input(task) as source:
        body = source.read()
    raw = bool(model.metadata.raw.get("is_signature_from_type_hint"))
    try:
        request = read_request(body, "application/json", model.signature, takes_raw=raw)
    except FlowrunError as error:
        error.message = f"{_name(task)}: {error.message}"
        error.hint = error.hint or "It was read as JSON; --content-type csv or parquet says else."
        raise
    data = request.data.frame() if isinstance(request.data, Table) else request.data
    made = _made(model, data, task.params or request.params, _name(task))
    if task.output_form == JSON:
        file.write(predictions_json(made, is_bare=request.is_bare))
        return
    writer = open_writer(task.output_form, file)
    writer.write(made)
    writer.close()


def _made(
    model: PyFuncModel, data: object, params: Mapping[str, object] | None, where: str
) -> object:
    try:
        return model.predict(data, params)
    except FlowrunError as error:
        raise InvalidValueError(f"{where}: {error.message}", error.hint) from error
    except Exception as error:
        traceback.print_exc()
        raise InvalidValueError(
            f"{where}: the model failed: {type(error).__name__}: {error}"
        ) from error


def _tables(task: Task, schema: Schema | None) -> Iterator[Any]:
    with _input(task) as source:
        if task.form == CSV:
            yield from csv_tables(source, schema, task.rows, _name(task))
        else:
            yield from _parquet_tables(task, source, schema)


def _parquet_tables(task: Task, source: IO[bytes], schema: Schema | None) -> Iterator[Any]:
    library("pyarrow")
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    if not source.seekable():  # a Parquet file is read from its end
        spooled = tempfile.TemporaryFile()  # noqa: SIM115 - goes with the process
        shutil.copyfileobj(source, spooled)
        source = spooled
    try:
        file = parquet.ParquetFile(source)
        columns = None
        if schema is not None and schema.has_names:
            wanted = {str(name) for name in schema.input_names()}
            columns = [name for name in file.schema_arrow.names if name in wanted]
        for batch in file.iter_batches(task.rows, columns=columns):
            yield batch.to_pandas()
    except arrow.ArrowException as error:
        raise BadRequestError(f"{_name(task)} is no Parquet file: {error}") from error


@contextmanager
def _input(task: Task) -> Iterator[IO[bytes]]:
    if task.input is None:
        yield sys.stdin.buffer
        return
    try:
        file = Path(task.input).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InvalidValueError(f"{task.input} can't be read: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def _output(task: Task, standard: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give where predictions go: a file shows only when all of them are in it."""
    if task.output is None:
        yield standard
        return
    target = Path(task.output)
    made = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with made.open("xb") as file:
            yield file
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def _name(task: Task) -> str:
    return task.input or "standard input"


if __name__ == "__main__":
    main()
