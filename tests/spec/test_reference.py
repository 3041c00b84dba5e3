"""The reference page tells all there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.spec.expressions import ROOTS, STATUS_FUNCTIONS
from flowrun.spec.project import ParameterType
from flowrun.spec.sandbox import FILTERS, TEXT_METHODS
from flowrun.spec.schema import json_schema

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "mlproject.md").read_text()


def _keys(schema: object) -> Iterator[str]:
    """Yield every key of the grammar that the schema knows."""
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties
        for part in schema.values():
            yield from _keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _keys(part)


NAMES = sorted(
    {
        *_keys(json.loads(json_schema())),
        *ROOTS,
        *STATUS_FUNCTIONS,
        *FILTERS,
        *TEXT_METHODS,
    }
    | set(ParameterType)
)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_grammar_is_explained(name: str) -> None:
    words = "".join(each if each.isalnum() or each == "_" else " " for each in PAGE).split()
    assert name in words
