"""Finds the Python that an environment asks for: the caller's, pyenv's, uv's, one on PATH."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from flowrun.envs.masking import mask
from flowrun.envs.process import captured
from flowrun.envs.published import write_whole
from flowrun.errors import EnvError
from flowrun.valueclass import valueclass

OLDEST = (3, 7)
"""What virtualenv and uv still make environments for."""

_EXACT = re.compile(r"\d+(\.\d+){0,2}")
_CLAUSE = re.compile(r"(==|~=|!=|<=|>=|<|>)\s*\d+(\.\d+)*")
_ASK = (
    "import platform, sys, sysconfig;"
    "print(platform.python_version(), sysconfig.get_config_var('SOABI') or sys.platform,"
    " getattr(sys, '_base_executable', None) or sys.executable, sep='\\n')"
)


@valueclass
class Interpreter:
    """A Python on this machine, not one inside a virtual environment."""

    executable: Path
    version: str
    """In full: `3.11.7`."""
    abi: str
    """`cpython-311-x86_64-linux-gnu`: implementation, version, machine, C library."""

    def __str__(self) -> str:
        """Return what a lock says of it."""
        return f"{self.version} {self.abi}"


def parse_request(text: str) -> str | None:
    """Return a Python version or range in the one spelling that uv is given; None if it is none.

    Knows `3`, `3.11`, `3.11.7`, conda's `3.11.*`, and ranges such as `>=3.9,<3.13`.
    """
    wanted = re.sub(r"\s+", "", text).removesuffix(".*")
    if wanted.startswith("==") and "," not in wanted:
        wanted = wanted.removeprefix("==")
    if _EXACT.fullmatch(wanted):
        return wanted
    clauses = [clause.removesuffix(".*") for clause in wanted.split(",")]
    return ",".join(clauses) if all(_CLAUSE.fullmatch(each) for each in clauses) else None


class Interpreters:
    """Answers are remembered in a file, and asked again when the interpreter has changed."""

    def __init__(
        self,
        memos: Path,
        uv: Callable[..., list[str | Path]],
        variables: Mapping[str, str],
        caller: Path,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Take what is needed to ask.

        Args:
            uv: gives the command line of one uv command.
            variables: for uv; PATH and PYENV_ROOT say where to look.
        """
        self._memos = memos
        self._uv = uv
        self._variables = {**variables, "PATH": search_path(variables)}
        self._caller = caller
        self._is_cancelled = is_cancelled

    def caller(self) -> Interpreter:
        """Return the interpreter that flowrun was called with, the real one under any venv."""
        if str(self._caller) == sys.executable:
            return Interpreter(base_executable(), platform.python_version(), _own_abi())
        return self._remembered(str(self._caller)) or self._ask(self._caller, str(self._caller))

    def find(self, wanted: str | None) -> Interpreter | None:
        """Return an interpreter for a version or range; None asks for the caller's.

        The caller's own goes first if it fits; then the newest that fits.
        """
        if wanted is None:
            return self.caller()
        if _EXACT.fullmatch(wanted):
            caller = self.caller()
            if f"{caller.version}.".startswith(f"{wanted}."):
                return caller
        if found := self._remembered(wanted):
            return found
        rows = self._list(wanted)
        if not rows:
            return None
        own = self.caller().version if len(rows) > 1 else ""
        path = next((path for version, path in rows if version == own), rows[0][1])
        return self._ask(Path(path), wanted)

    def fetch(self, wanted: str) -> Interpreter:
        """Let uv download an interpreter.

        Raises:
            EnvError: it can't; the message names the versions that are there.
        """
        try:
            self._run("python", "install", wanted)
        except EnvError as error:
            raise self.missing(wanted, error.message) from error
        found = self.find(wanted)
        if found is None:
            raise self.missing(wanted, "uv installed it, but does not find it.")
        return found

    def may_fetch(self, wanted: str) -> bool:
        """Tell whether the caller lets uv download Pythons, and uv knows this one."""
        if self._variables.get("UV_PYTHON_DOWNLOADS", "automatic") in {"never", "manual"}:
            return False
        if self._variables.get("UV_OFFLINE", "") not in {"", "0", "false"}:
            return False
        answer = self._run("python", "list", "--only-downloads", "--output-format", "json", wanted)
        return bool(json.loads(answer))

    def missing(self, wanted: str, reason: str = "") -> EnvError:
        """Return the error for a version that is not on this machine."""
        there = sorted({version for version, _ in self._list(None)}, key=_numbers)
        text = f"Python {wanted} is not installed."
        if reason:
            text += f" It could not be downloaded either: {reason}"
        return EnvError(
            text,
            f"Found here: {', '.join(there) or 'none'}. Ask for one of them, or install it "
            f"(`uv python install {wanted}`, pyenv, your system's packages).",
        )

    def _list(self, wanted: str | None) -> list[tuple[str, str]]:
        """Return version and path of all usable ones that fit, newest first."""
        words = ["python", "list", "--only-installed", "--all-versions", "--output-format", "json"]
        rows = json.loads(self._run(*words, *([wanted] if wanted else [])))
        found = [
            (str(row["version"]), str(row["path"]))
            for row in rows
            if row["path"] and row.get("implementation") == "cpython"
        ]
        usable = [row for row in found if _numbers(row[0]) >= OLDEST]
        return sorted(usable, key=lambda row: _numbers(row[0]), reverse=True)

    def _run(self, *words: str) -> str:
        answer = captured(self._uv(*words), self._variables, self._is_cancelled)
        if answer.returncode != 0:
            raise EnvError(f"`uv {' '.join(words)}` failed: {mask(answer.stderr.strip())}")
        return answer.stdout

    def _ask(self, python: Path, wanted: str) -> Interpreter:
        try:
            answer = captured([python, "-I", "-c", _ASK], self._variables, self._is_cancelled)
            answer.check_returncode()
        except (OSError, subprocess.CalledProcessError) as error:
            raise EnvError(f"The interpreter {python} can't be run: {error}") from error
        version, abi, executable = answer.stdout.splitlines()
        found = Interpreter(Path(executable), version, abi)
        facts = [executable, version, abi, *_stamp(found.executable)]
        write_whole(self._memo(wanted), json.dumps(facts))
        return found

    def _remembered(self, wanted: str) -> Interpreter | None:
        try:
            executable, version, abi, *stamp = json.loads(self._memo(wanted).read_text("utf-8"))
            found = Interpreter(Path(executable), version, abi)
            return found if stamp == _stamp(found.executable) else None
        except (FileNotFoundError, ValueError):
            return None

    def _memo(self, wanted: str) -> Path:
        path = f"{self._variables['PATH']}\n{self._caller}\n{wanted}"
        return self._memos / f"python-{hashlib.sha256(path.encode()).hexdigest()[:16]}.json"


def base_executable() -> Path:
    """Return the interpreter that runs this: the real one, under any virtual environment."""
    base: str = getattr(sys, "_base_executable", None) or sys.executable
    return Path(base)


def _own_abi() -> str:
    """Return what `_ASK` prints; sysconfig gives threads that ask at once half an answer."""
    first = EXTENSION_SUFFIXES[0].split(".")
    return first[1] if len(first) > 2 else sys.platform


def search_path(variables: Mapping[str, str]) -> str:
    """Return a PATH to look for interpreters on: the caller's, without pyenv's shims.

    A shim answers for versions that are not selected with exit code 127, at which uv stops
    looking; so the interpreters behind the shims are put in their place.
    """
    given = variables.get("PATH", os.defpath).split(os.pathsep)
    real = [entry for entry in given if Path(entry).name != "shims"]
    home = variables.get("HOME", "")
    pyenv = variables.get("PYENV_ROOT") or (f"{home}/.pyenv" if home else "")
    behind = sorted(Path(pyenv).glob("versions/3.*/bin")) if pyenv else []
    return os.pathsep.join([*real, *(str(folder) for folder in behind)])


def _stamp(executable: Path) -> list[int]:
    found = executable.stat()
    return [found.st_mtime_ns, found.st_size]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
