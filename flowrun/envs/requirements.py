"""Reads requirement lines and files as pip does, with an allowed list of what they may say.

What comes out is given to uv as a file of its own, never the project's files: uv sees exactly the
lines that were checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from flowrun.envs.lock import normalised
from flowrun.envs.project_files import read_text
from flowrun.errors import SpecError
from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark
from flowrun.valueclass import valueclass

RESERVED = "flowrun"
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[^\]]*\])?")
_AFTER_NAME = re.compile(r"\s*($|[=<>!~;@(])")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://\S+")
_SCHEMES = {"https", "http", "file", "git+https", "git+http", "git+ssh", "git+file"}
_PATH = re.compile(r"(?P<path>[^\s;\[]+)(?P<rest>(\[[^\]]*\])?(\s*;.*)?)")
_HASH = re.compile(r"\s+--hash[=\s]\s*(?P<hash>(sha256|sha384|sha512):[0-9a-fA-F]+)")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2")
_INDEX_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--pypi-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
    "--no-index": "--no-index",
    "--no-binary": "--no-binary",
    "--only-binary": "--only-binary",
}
_ALWAYS_SO = {"--require-hashes", "--prefer-binary"}


@valueclass
class Requirement:
    """One requirement, in one line."""

    text: str
    """As written, without hashes and comments; of a local path only what follows the path."""
    mark: Mark
    name: str = ""
    """Normalised; '' when only the package itself knows it (a path, a bare URL)."""
    hashes: tuple[str, ...] = ()
    path: Path | None = None
    """A local folder or archive to build and install."""
    written_path: str = ""

    def __str__(self) -> str:
        """Return the line as the project has it, without hashes."""
        return f"{self.written_path}{self.text}"


@valueclass
class Option:
    """An option line about where packages come from, in its long spelling."""

    name: str
    value: str
    """As written."""
    folder: Path | None = None
    """For --find-links of a local folder."""

    def __str__(self) -> str:
        """Return the line for uv."""
        return f"{self.name} {self.folder or self.value}".rstrip()


@valueclass
class Requirements:
    """All that the lines and the files they include ask for."""

    wanted: tuple[Requirement, ...]
    constraints: tuple[Requirement, ...]
    options: tuple[Option, ...]


def read_requirements(
    lines: Iterable[tuple[str, Mark]], directory: Path, base: Path
) -> Requirements:
    """Read requirement lines.

    Args:
        lines: each with its place; may include files by `-r` and `-c`.
        directory: the project's; local paths are relative to it.
        base: the folder of the file that has `lines`; included files are relative to the file
            that includes them.

    Raises:
        SpecError: all mistakes, in the files and lines where they are.
    """
    reader = _Reader(directory)
    reader.read(lines, base, reader.wanted)
    reader.problems.raise_if_any()
    return Requirements(tuple(reader.wanted), tuple(reader.constraints), tuple(reader.options))


def lines_of(text: str, file: str) -> list[tuple[str, Mark]]:
    """Return the logical lines of a requirements file with their places."""
    found: list[tuple[str, Mark]] = []
    parts: list[str] = []
    start = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            start = number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            parts.append(line[:-1])
            continue
        parts.append("" if is_comment else line)
        found.append(("".join(parts), Mark(file, start, 1)))
        parts = []
    return [*found, ("".join(parts), Mark(file, start, 1))] if parts else found


class _Reader:
    """Collects what the lines say, and what is wrong with them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: set[tuple[Path, bool]] = set()
        self.wanted: list[Requirement] = []
        self.constraints: list[Requirement] = []
        self.options: list[Option] = []
        self.problems = Problems()

    def read(
        self, lines: Iterable[tuple[str, Mark]], folder: Path, into: list[Requirement]
    ) -> None:
        for line, mark in lines:
            text = re.sub(r"(^|\s+)#.*$", "", line).strip()
            if not text:
                continue
            if not text.isprintable():
                self.problems.add(mark, "a requirement is one line of printable text")
            elif text.startswith("-"):
                self._option(text, mark, folder, into)
            else:
                self._requirement(text, mark, into)

    def _option(self, text: str, mark: Mark, folder: Path, into: list[Requirement]) -> None:
        word, value = _split_option(text)
        if word in {"-r", "--requirement", "-c", "--constraint"}:
            is_constraint = word in {"-c", "--constraint"}
            self._include(value, mark, folder, self.constraints if is_constraint else into)
        elif word in {"-e", "--editable"}:
            self._local(value, mark, into)
        elif word in _INDEX_OPTIONS:
            self._index_option(_INDEX_OPTIONS[word], value, mark, folder)
        elif word not in _ALWAYS_SO:
            self.problems.add(
                mark,
                f"'{word}' is not allowed here; a requirement line may be a requirement, or one of "
                "-r, -c, -e, --index-url, --extra-index-url, --find-links, --no-index, "
                "--no-binary, --only-binary",
            )

    def _include(self, value: str, mark: Mark, folder: Path, into: list[Requirement]) -> None:
        if _URL.match(value) or not value:
            self.problems.add(mark, f"'{value}' is no file of the project; only files are included")
            return
        file = folder / value
        if (file, into is self.constraints) in self._seen:
            return
        self._seen.add((file, into is self.constraints))
        label = str(file.relative_to(self._directory)) if _is_in(file, self._directory) else value
        try:
            text = read_text(file, mark)
        except SpecError as error:
            for problem in error.problems:
                self.problems.add(mark, problem.text)
            return
        self.read(lines_of(text, label), file.parent, into)

    def _index_option(self, name: str, value: str, mark: Mark, folder: Path) -> None:
        if (not value) != (name == "--no-index") or re.search(r"\s", value):
            many = "no" if name == "--no-index" else "one"
            self.problems.add(mark, f"{name} takes {many} value")
            return
        local = None
        if name == "--find-links" and not _URL.match(value):
            local = (folder / value).absolute()
        self.options.append(Option(name, value, local))

    def _requirement(self, text: str, mark: Mark, into: list[Requirement]) -> None:
        hashes = tuple(match["hash"].lower() for match in _HASH.finditer(text))
        bare = _HASH.sub("", text)
        if re.search(r"\s--?\w", bare):
            self.problems.add(mark, f"'{text}': the only option of a requirement is --hash")
            return
        named = _NAMED.match(bare)
        if named and _AFTER_NAME.match(bare, named.end()) and not self._is_file(bare):
            self._named(bare, named, mark, hashes, into)
        elif url := _URL.match(bare):
            if self._allowed(url["scheme"], mark):
                into.append(Requirement(bare, mark, hashes=hashes))
        else:
            self._local(bare, mark, into)

    def _named(
        self,
        bare: str,
        named: re.Match[str],
        mark: Mark,
        hashes: tuple[str, ...],
        into: list[Requirement],
    ) -> None:
        name, after = normalised(named["name"]), bare[named.end() :].strip()
        if after.startswith("@"):
            target = after[1:].strip()
            url = _URL.match(target)
            if url is None:
                path = _PATH.fullmatch(target)
                rest = (named["extras"] or "") + (path["rest"] if path else "")
                self._local((path["path"] if path else target) + rest, mark, into)
                return
            if not self._allowed(url["scheme"], mark):
                return
        elif name == RESERVED and into is not self.constraints:
            self.problems.add(mark, refusal_of_reserved_name())
            return
        into.append(Requirement(bare, mark, name, hashes))

    def _is_file(self, bare: str) -> bool:
        """Tell `package.whl` and a forgotten `-r requirements.txt` from a package's name."""
        return "/" not in bare and (self._directory / bare).is_file()

    def _allowed(self, scheme: str, mark: Mark) -> bool:
        if scheme.lower() in _SCHEMES:
            return True
        self.problems.add(
            mark, f"'{scheme}:' addresses are not allowed; use {', '.join(sorted(_SCHEMES))}"
        )
        return False

    def _local(self, text: str, mark: Mark, into: list[Requirement]) -> None:
        match = _PATH.fullmatch(text)
        written = match["path"] if match else text
        path = self._directory / written.removeprefix("file:")
        if match is None or not path.exists():
            self.problems.add(
                mark, f"'{written}' is neither a requirement nor a file or folder of the project"
            )
        elif path.is_dir() and not any(
            (path / name).is_file() for name in ("pyproject.toml", "setup.py")
        ):
            self.problems.add(
                mark, f"'{written}' is no Python package: it has no pyproject.toml and no setup.py"
            )
        elif path.is_file() and not path.name.endswith(_ARCHIVES):
            self.problems.add(mark, f"'{written}' is no package; for a requirements file write -r")
        else:
            into.append(Requirement(match["rest"], mark, path=path, written_path=written))


def refusal_of_reserved_name() -> str:
    """Return why a package called flowrun is not installed."""
    return (
        "'flowrun' on the package index is somebody else's package and is not installed. "
        "Remove this line: `import flowrun` works in every step without it."
    )


def _split_option(text: str) -> tuple[str, str]:
    """Return an option and its value: `-r x`, `-rx`, `--requirement x`, `--requirement=x`."""
    if text.startswith("--"):
        match = re.match(r"(--[\w-]+)(?:\s*=\s*|\s+|$)(.*)", text)
        return (match[1], match[2].strip()) if match else (text.split()[0], "")
    return text[:2], text[2:].strip().removeprefix("=").strip()


def _is_in(file: Path, directory: Path) -> bool:
    return file.is_relative_to(directory) and ".." not in file.parts
