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
    def dtype(self) -> DType: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def tolist(self) -> list[object]: ...

    def __len__(self) -> int: ...


class Column(Items, Protocol):
    """A column of a frame."""

    @property
    def name(self) -> object: ...

    def isna(self) -> Column: ...

    def any(self) -> bool: ...

    def astype(self, dtype: str) -> Column: ...

    def to_numpy(self) -> Items: ...


class Frame(Protocol):
    """A table."""

    @property
    def columns(self) -> Items: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def index(self) -> Items: ...

    def __getitem__(self, name: object) -> Column: ...

    def __len__(self) -> int: ...

    def to_numpy(self) -> Items: ...


class SparseMatrix(Protocol):
    """A matrix of scipy, by rows (csr) or columns (csc)."""

    format: str
    data: Items
    indices: Items
    indptr: Items
    shape: tuple[int, ...]

    def toarray(self) -> Items: ...


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
        return data != data  # noqa: PLR0124 - nan alone
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
