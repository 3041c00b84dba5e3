"""Writes predictions to a file as they come, in constant memory: CSV, JSON or Parquet."""

from __future__ import annotations

import importlib
from typing import IO, Any, Protocol

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import is_array, is_column, is_frame
from flowrun.models.flavors.base import library
from flowrun.models.scoring.answers import predictions_json

CSV, JSON, PARQUET = "csv", "json", "parquet"
_ONE = "prediction"


class PredictionsWriter(Protocol):
    """Takes what a model made, one part after the other."""

    def write(self, made: object) -> None:
        """Write a part.

        Raises:
            InvalidValueError: the file's format can't hold it.
        """

    def close(self) -> None:
        """Write the end."""


def open_writer(form: str, file: IO[bytes]) -> PredictionsWriter:
    """Give what writes this format to a file, which stays open."""
    if form == CSV:
        return _CsvWriter(file)
    return _ParquetWriter(file) if form == PARQUET else _JsonWriter(file)


class _CsvWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._has_header = False

    def write(self, made: object) -> None:
        frame = _frame(made)
        frame.to_csv(self._file, index=False, header=not self._has_header)
        self._has_header = True

    def close(self) -> None:
        pass


class _ParquetWriter:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        library("pyarrow")
        self._arrow: Any = importlib.import_module("pyarrow")
        self._parquet: Any = importlib.import_module("pyarrow.parquet")
        self._writer: Any = None

    def write(self, made: object) -> None:
        try:
            table = self._arrow.Table.from_pandas(_frame(made), preserve_index=False)
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._file, table.schema)
            self._writer.write_table(table.cast(self._writer.schema))
        except self._arrow.ArrowException as error:
            raise InvalidValueError(f"the predictions can't be kept as Parquet: {error}") from error

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _JsonWriter:
    """Writes `{"predictions": [...]}`, in the form that the scoring server answers in."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begun = False

    def write(self, made: object) -> None:
        items = predictions_json(made, is_bare=True)
        if not items.startswith(b"["):
            raise InvalidValueError("the model gives no list of predictions, one for each row")
        if len(items) > len(b"[]"):
            self._file.write(b", " if self._begun else b'{"predictions": [')
            self._file.write(items[1:-1])
            self._begun = True

    def close(self) -> None:
        self._file.write(b"]}" if self._begun else b'{"predictions": []}')


def _frame(made: object) -> Any:  # noqa: ANN401 - of pandas
    """Give predictions as a table: one column is called `prediction`, several have numbers."""
    pandas: Any = library("pandas")
    if is_frame(made):
        return made
    if is_column(made):
        return made.to_frame(_ONE if made.name is None else made.name)  # type: ignore[attr-defined]  # of pandas
    try:
        frame = pandas.DataFrame(made if is_array(made) else pandas.Series(made).tolist())
    except (ValueError, TypeError) as error:
        raise InvalidValueError(f"the predictions are no table: {error}") from error
    if frame.columns.tolist() == [0]:
        frame.columns = [_ONE]
    elif all(isinstance(name, int) for name in frame.columns.tolist()):
        frame.columns = [f"{_ONE}_{number}" for number in range(len(frame.columns))]
    return frame
