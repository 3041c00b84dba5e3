"""Column types that are exact on SQLite (STRICT tables know five types) and on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import REAL, BigInteger, Double, Integer
from sqlalchemy.types import TypeEngine

BIG: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""64-bit integers: times, steps, row numbers."""

FLOAT: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
"""64-bit floating point numbers."""

STRICT = {"sqlite_strict": True}
"""A table that refuses values of another type."""

CLUSTERED = {"sqlite_strict": True, "sqlite_with_rowid": False}
"""A STRICT table that lies on disk in the order of its primary key."""
