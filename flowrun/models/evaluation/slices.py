"""Metrics of parts of the data: by the values of a column, or by ranges of its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Items
from flowrun.models.evaluation.data import check_column
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.samples import Samples
from flowrun.models.evaluation.scores import Score, computed

MOST_VALUES = 50
"""Of one column; the rest of them, the rarest, become one slice."""
MISSING = "(missing)"
OTHERS = "(others)"


@dataclass(frozen=True)
class Slice:
    """How to cut the data."""

    column: str
    bins: int | None = None
    """Ranges with about as many rows each; None: by value."""
    edges: tuple[float, ...] = ()
    """Where one range ends and the next begins, instead."""


SliceLike = Union[Slice, str, Mapping[str, object]]


def slice_of(said: SliceLike) -> Slice:
    """Read one: a column's name, or `{"by": column, "bins": 4}` (or a list of edges).

    Raises:
        InvalidValueError: it is neither.
    """
    if isinstance(said, Slice):
        return said
    if isinstance(said, str):
        return Slice(said)
    column, bins = said.get("by"), said.get("bins")
    if not isinstance(column, str) or set(said) - {"by", "bins"}:
        raise InvalidValueError(
            f"slice {dict(said)!r}: give a column's name, or {{'by': column, 'bins': number}}"
        )
    if isinstance(bins, Sequence) and not isinstance(bins, str):
        edges = tuple(float(edge) for edge in bins)
        if list(edges) != sorted(set(edges)) or not edges:
            raise InvalidValueError(f"slice by '{column}': its bins must rise")
        return Slice(column, edges=edges)
    if bins is None or (isinstance(bins, int) and not isinstance(bins, bool) and bins > 1):
        return Slice(column, bins)
    raise InvalidValueError(f"slice by '{column}': bins is {bins!r}; it must be 2 or more")


def sliced(
    slices: Sequence[Slice], samples: Samples, scores: Sequence[Score]
) -> list[dict[str, object]]:
    """Give a row of metrics for each part: `slice`, `value`, and the metrics.

    What can't be computed of a part (R² of one row, the curve of one class) is nan there.

    Raises:
        InvalidValueError: there is no such column, or bins are wanted of no numbers.
    """
    rows: list[dict[str, object]] = []
    for each in slices:
        check_column(samples.frame, each.column, "slices")
        for value, positions in _parts(each, samples.frame[each.column]):
            values = computed(scores, samples.take(positions))
            rows.append({"slice": each.column, "value": value, **values})
    return rows


def _parts(each: Slice, column: Any) -> Iterator[tuple[str, Items]]:  # noqa: ANN401 - of pandas
    if each.bins is None and not each.edges:
        yield from _by_value(column)
    else:
        yield from _by_range(each, column)


def _by_value(column: Any) -> Iterator[tuple[str, Items]]:  # noqa: ANN401 - of pandas
    numpy, pandas = needed("numpy"), needed("pandas")
    missing = column.isna().to_numpy()
    texts = column.astype(str).to_numpy()
    names, counts = numpy.unique(texts[~missing], return_counts=True)
    often = names[numpy.argsort(-counts, kind="stable")][:MOST_VALUES]
    kept = pandas.Index(often)
    for name in names:
        if name in kept:
            yield str(name), numpy.flatnonzero((texts == name) & ~missing)
    rest = numpy.flatnonzero(~pandas.Index(texts).isin(kept) & ~missing)
    if len(rest):
        yield OTHERS, rest
    if missing.any():
        yield MISSING, numpy.flatnonzero(missing)


def _by_range(each: Slice, column: Any) -> Iterator[tuple[str, Items]]:  # noqa: ANN401 - of pandas
    numpy = needed("numpy")
    missing = column.isna().to_numpy()
    try:
        values = column.to_numpy(dtype="float64", na_value=numpy.nan)
    except (TypeError, ValueError):
        raise InvalidValueError(
            f"slice by '{each.column}': bins are ranges of numbers, but it is {column.dtype}"
        ) from None
    if each.edges:
        inner = numpy.asarray(each.edges)
    else:
        shares = numpy.linspace(0, 1, (each.bins or 2) + 1)[1:-1]
        inner = numpy.unique(numpy.quantile(values[~missing], shares)) if not missing.all() else []
    places = numpy.digitize(values, inner)
    bounds = ["", *(f"{edge:.6g}" for edge in inner), ""]
    for place in range(len(inner) + 1):
        rows = numpy.flatnonzero((places == place) & ~missing)
        if len(rows):
            yield _range(bounds[place], bounds[place + 1]), rows
    if missing.any():
        yield MISSING, numpy.flatnonzero(missing)


def _range(low: str, high: str) -> str:
    if not low:
        return f"< {high}" if high else "all"
    return f"{low} to < {high}" if high else f">= {low}"
