"""What the code promises about itself: cheap starts, and documents that know every command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
HEAVY = frozenset(
    [
        "alembic",
        "docker",
        "fsspec",
        "git",
        "jinja2",
        "networkx",
        "pydantic",
        "rich",
        "sqlalchemy",
        "sqlmodel",
        "uvicorn",
        "virtualenv",
    ]
)


def _imported_by(*words: str) -> set[str]:
    """Give the modules that a command imports, as the interpreter tells of them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flowrun", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("run", "--help")], ids=" ".join)
def test_a_command_imports_nothing_heavy_that_it_does_not_use(words: tuple[str, ...]) -> None:
    assert _imported_by(*words) & HEAVY == set()


def test_version_imports_nothing_but_the_interpreters_own() -> None:
    assert {name for name in _imported_by("--version") if name.split(".")[0] == "flowrun"} == {
        "flowrun",
        "flowrun.version",
    }


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    assert [name for name in COMMANDS if f"`flowrun {name}" not in text] == []


def test_every_link_in_the_documents_leads_somewhere() -> None:
    broken: list[str] = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for part in page.read_text().split("](")[1:]:
            target = part.split(")")[0].split("#")[0]
            is_local = target and "://" not in target
            if is_local and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_every_package_says_what_it_is_for_and_nothing_else() -> None:
    wordy = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "flowrun").glob("*/**/__init__.py")
        # Parts of the light client, which find the rest of flowrun.
        if path.parent.name not in {"tracking", "models"}
        if path.read_text().strip().count('"""') != 2 or not path.read_text().endswith('"""\n')
    ]
    assert wordy == []
