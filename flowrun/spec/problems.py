"""Collects every mistake of a file, so that all are told at once and in the order of the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from flowrun.errors import Problem, SpecError
from flowrun.spec.project import Mark


class Problems:
    """The mistakes and warnings found so far in one file."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._mistakes: list[Problem] = []
        self._warnings: list[Problem] = []

    def add(self, mark: Mark, text: str) -> None:
        """Note a mistake: nothing will run."""
        self._mistakes.append(_problem(mark, text))

    def warn(self, mark: Mark, text: str) -> None:
        """Note what MLflow would pass over in silence; a mistake when strict."""
        (self._mistakes if self._strict else self._warnings).append(_problem(mark, text))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings as complete lines, in the order of the file."""
        return tuple(str(warning) for warning in _in_file_order(self._warnings))

    def raise_if_any(self) -> None:
        """Raise SpecError with all mistakes, in the order of the file, if there are any."""
        if self._mistakes:
            raise SpecError(_in_file_order(self._mistakes))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known name nearest to `name`, or an empty text."""
    nearest = nearest_name(name, known)
    return f" Did you mean '{nearest}'?" if nearest else ""


def hint_of(name: str, known: Iterable[str]) -> str:
    """Return the nearest name as a hint, or else all the names there are."""
    every = list(known)
    return did_you_mean(name, every) or f" It has: {listed(every) or 'none'}."


def nearest_name(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name that `name` is most likely a misspelling of, or None."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def listed(names: Iterable[str], *, most: int = 10) -> str:
    """Return the names separated by commas, cut short when there are many."""
    every = list(names)
    rest = len(every) - most
    return ", ".join(every[:most]) + (f", and {rest} more" if rest > 0 else "")


def _problem(mark: Mark, text: str) -> Problem:
    """Return a problem of one printable line: names in it are the file's, and go to terminals."""
    shown = text if text.isprintable() else "".join(map(_shown, text))
    return Problem(mark.file, mark.line, mark.column, shown)


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    """Return the problems by place, the same one told once."""
    return sorted(dict.fromkeys(problems), key=lambda each: (each.file, each.line, each.column))
