"""CSV files as tables, read part by part, with wrong values told by row and column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from flowrun.models.flavors.base import library
from flowrun.models.schema import DataType, Schema
from flowrun.models.scoring.requests import BadRequestError
from flowrun.models.scoring.tables import DTYPES


def csv_tables(source: IO[bytes], schema: Schema | None, rows: int, name: str) -> Iterator[Any]:
    """Give the tables of a CSV file, with the types of the signature.

    Args:
        source: the file.
        schema: of the model's inputs; other columns are left out.
        rows: how many a table has; the last one has fewer.
        name: what the file is called in messages.

    Raises:
        BadRequestError: it is no CSV file, or a value is not of its column's type; names the row,
            counted from 1 without the header, and the column.
    """
    pandas: Any = library("pandas")
    columns = schema.columns if schema else ()
    texts = {str(spec.name): str for spec in columns if spec.kind is DataType.string}
    try:
        with pandas.read_csv(
            source,
            chunksize=rows,
            dtype=texts,
            low_memory=False,
        ) as chunks:
            done = 0
            for frame in chunks:
                if not isinstance(frame.index, pandas.RangeIndex):
                    # pandas takes what is too much at the left for names of the rows.
                    raise BadRequestError(f"{name}: the rows have more fields than the header")
                yield _cast(frame, schema, done, name)
                done += len(frame)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadRequestError(f"{name} is no CSV file: {error}") from error


def _cast(frame: Any, schema: Schema | None, done: int, name: str) -> object:  # noqa: ANN401 - of pandas
    """Give a CSV file's table with the types of the signature; a wrong value is told by its row."""
    pandas: Any = library("pandas")
    for spec in schema.columns if schema else ():
        if spec.name not in frame or not isinstance(spec.kind, DataType):
            continue
        column = frame[spec.name]
        wanted = DTYPES.get(spec.kind)
        try:
            if spec.kind is DataType.datetime:
                frame[spec.name] = pandas.to_datetime(column)
            elif wanted is not None and column.dtype.name != wanted:
                frame[spec.name] = _exactly(column, wanted)
        except (ValueError, TypeError, OverflowError) as error:
            row = _first_wrong(pandas, column, spec.kind)
            value = column.tolist()[row]
            shown = "an empty field" if value != value else repr(value)
            raise BadRequestError(
                f"{name}, row {done + row + 1}, column '{spec.name}': {shown} is no "
                f"{spec.kind.value}"
            ) from error
    return frame


def _exactly(column: Any, wanted: str) -> object:  # noqa: ANN401 - of pandas
    """Convert a column without rounding: 1.5 is no integer, and 2 is no truth value."""
    made = column.astype(wanted)
    if wanted != "float64" and wanted != "float32" and not (made == column).all():
        raise ValueError("a value would be changed")
    result: object = made
    return result


def _first_wrong(pandas: Any, column: Any, kind: DataType) -> int:  # noqa: ANN401 - of pandas
    """Give the number of the first value that is not of a type."""
    values = column.tolist()
    return next(n for n, value in enumerate(values) if not _is_of(pandas.Series([value]), kind))


def _is_of(column: Any, kind: DataType) -> bool:  # noqa: ANN401 - of pandas
    try:
        if kind is DataType.datetime:
            library("pandas").to_datetime(column)
        else:
            _exactly(column, DTYPES[kind])
    except (ValueError, TypeError, OverflowError):
        return False
    return True
