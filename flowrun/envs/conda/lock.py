r"""The text of a conda environment's lock.

    # env/1
    # variable GREETING "hello"
    version: 7
    platforms: ...
    packages: ...
    # pip
    # click==8.1.7 \
    #     --hash=sha256:...

The middle is pixi's and rattler's lock file, and so is the whole: what is of flowrun's is a comment
to them. Addresses are those of channels, not of mirrors, and hold no credentials.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from flowrun.envs.lock import TAG
from flowrun.valueclass import valueclass

_PIP = "# pip"
_VARIABLE = re.compile(r'# variable (?P<name>\w+) (?P<value>".*")')
_PYTHON = re.compile(r"^ *- conda: \S+/python-(?P<version>\d[^-]*)-[^/-]+$", re.MULTILINE)


@valueclass
class CondaLock:
    """A lock, taken apart."""

    conda: str
    """The text of a rattler lock file."""
    pip: str = ""
    """Requirements with hashes, as the lock of a virtualenv; '' without a `pip:` section."""
    variables: tuple[tuple[str, str], ...] = ()

    def render(self) -> str:
        """Return the lock's text."""
        lines = [TAG]
        lines += [f"# variable {name} {json.dumps(value)}" for name, value in self.variables]
        lines += self.conda.splitlines()
        if self.pip:
            lines += [_PIP, *(f"# {line}".rstrip() for line in self.pip.splitlines())]
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> CondaLock:
        """Take apart what `render` returned."""
        conda, _, pip = text.partition(f"\n{_PIP}\n")
        lines = pip.splitlines()
        return cls(
            "".join(f"{line}\n" for line in conda.splitlines() if not line.startswith("#")),
            "".join(f"{line.removeprefix('#').removeprefix(' ')}\n" for line in lines),
            variables_of(text),
        )


def variables_of(lock: str) -> tuple[tuple[str, str], ...]:
    """Return the variables of a lock; they come first in it."""
    return tuple(_variables(lock.splitlines()[1:]))


def _variables(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        match = _VARIABLE.fullmatch(line)
        if match is None:
            return
        yield match["name"], json.loads(match["value"])


def python_version(lock: str) -> str | None:
    """Return the version of a lock's Python; None if it has none."""
    match = _PYTHON.search(lock)
    return match["version"] if match else None
