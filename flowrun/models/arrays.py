"""numpy's arrays and pandas' frames, as far as a process has them; neither is imported here.

What is a frame can only be one if pandas is loaded already, so `sys.modules` is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import TypeGuard


class DType(Protocol):
    """The type of an array's items."""

    kind: str
    itemsize: int
    name: str


class Items(Protocol):
    """What an array has."""

    @property
    def dtype(self) -> DType:
        """The type of the items."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths."""

    def tolist(self) -> list[object]:
        """Give the items as Python's own."""

    def __len__(self) -> int:
        """Count the items, or rows."""


class Column(Items, Protocol):
    """A column of a frame."""

    @property
    def name(self) -> object:
        """Its name in the frame."""

    def isna(self) -> Column:
        """Tell for each item whether it is missing."""

    def any(self) -> bool:
        """Tell whether any item is true."""

    def astype(self, dtype: str) -> Column:
        """Give it converted."""

    def to_numpy(self) -> Items:
        """Give its array."""


class Frame(Protocol):
    """A table."""

    @property
    def columns(self) -> Items:
        """The names of the columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """The lengths."""

    @property
    def index(self) -> Items:
        """The names of the rows."""

    def __getitem__(self, name: object) -> Column:
        """Give a column."""

    def __len__(self) -> int:
        """Count the items, or rows."""

    def to_numpy(self) -> Items:
        """Give its array."""


class SparseMatrix(Protocol):
    """A matrix of scipy, by rows (csr) or columns (csc)."""

    format: str
    data: Items
    indices: Items
    indptr: Items
    shape: tuple[int, ...]

    def toarray(self) -> Items:
        """Give it with its zeros."""


def is_array(data: object) -> TypeGuard[Items]:
    """Tell whether this is an array of numpy."""
    return _is_of(data, "numpy", "ndarray")


def is_frame(data: object) -> TypeGuard[Frame]:
    """Tell whether this is a DataFrame of pandas."""
    return _is_of(data, "pandas", "DataFrame")


def is_column(data: object) -> TypeGuard[Column]:
    """Tell whether this is a Series of pandas."""
    return _is_of(data, "pandas", "Series")


def is_sparse(data: object) -> TypeGuard[SparseMatrix]:
    """Tell whether this is a matrix of scipy in one of the two forms that MLflow knows."""
    return _is_of(data, "scipy.sparse", "csr_matrix") or _is_of(data, "scipy.sparse", "csc_matrix")


def is_scalar(data: object) -> bool:
    """Tell whether this is one value: of Python, or of numpy."""
    return isinstance(data, (str, bytes, bool, int, float)) or is_numpy_scalar(data)


def is_numpy_scalar(data: object) -> bool:
    """Tell whether this is one value of numpy."""
    return _is_of(data, "numpy", "generic")


def is_missing(data: object) -> bool:
    """Tell whether this stands for no value: None, nan, or pandas' NA and NaT."""
    if data is None:
        return True
    if isinstance(data, float):
        return data != data
    pandas = sys.modules.get("pandas")
    return pandas is not None and (data is pandas.NA or data is pandas.NaT)


def all_names(columns: Iterable[object]) -> Sequence[str | int]:
    """Give the names of columns: numbers stay numbers."""
    return [
        name if isinstance(name, int) and not isinstance(name, bool) else str(name)
        for name in columns
    ]


def _is_of(data: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(data, kind)
