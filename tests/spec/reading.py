"""What tests of the file format do again and again."""

from __future__ import annotations

import textwrap

import pytest

from flowrun.errors import SpecError
from flowrun.spec.parse import parse_project
from flowrun.spec.project import Project


def read(text: str, *, strict: bool = False) -> Project:
    """Parse an indented text."""
    return parse_project(textwrap.dedent(text).lstrip("\n"), strict=strict)


def mistakes_of(text: str, *, strict: bool = False) -> str:
    """Return all that is said against a text."""
    with pytest.raises(SpecError) as caught:
        read(text, strict=strict)
    return str(caught.value)
