"""The JSON Schema of the project file, for editors: `flowrun schema` prints it."""

from __future__ import annotations

from pathlib import Path


def json_schema() -> str:
    """Return the schema as JSON text (draft 2020-12).

    It tells what can stand where; what names refer to is checked by the parser alone.
    """
    return Path(__file__).with_name("mlproject.schema.json").read_text(encoding="utf-8")
