"""Lists for people and for programs: a table on a terminal, plain columns in a pipe, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import typer

Row = Mapping[str, object]


def print_rows(
    columns: Sequence[str], rows: Sequence[Row], *, as_json: bool, indent: str = ""
) -> None:
    """Print rows; as JSON everything in them, else the named columns as texts.

    Control characters in names are shown as `?`: a run's name must not drive a terminal.
    """
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    table = [[column.replace("_", " ").upper() for column in columns]]
    table += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo(indent + "  ".join(padded).rstrip())


def print_facts(facts: Sequence[tuple[str, object]], indent: str = "") -> None:
    """Print names and values below each other; what is None or empty is left out."""
    known = [(name, value) for name, value in facts if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        typer.echo(f"{indent}{name.ljust(width)}  {_cell(value)}")


def time_text(time_ms: int | None) -> str:
    """Give a time in the user's time zone, to the second."""
    if not time_ms:
        return ""
    try:
        local = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"  # in no year that a calendar has: anyone may write to a store
    return local.strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Replace what could drive a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return printable(str(value)).replace("\n", " ")
