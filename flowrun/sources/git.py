"""The one module that starts git: argument lists, a hardened environment, deadlines.

Nothing of a repository is executed: no hooks, no file system monitor, no filters, no external
diff. What the user set up to reach and log in to hosts (ssh, credential helpers, proxies,
certificates) works as in their own git, because their settings and variables are kept for that.
Needs git 2.31 or newer.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import IO

from flowrun.errors import UnreachableError
from flowrun.sources.credentials import Credentials
from flowrun.valueclass import valueclass

PATIENCE_S = 60.0
"""How long a host may say nothing at all."""

_PROTOCOLS = "file:git:http:https:ssh"

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "protocol.version=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
)
_OPTIONS = tuple(text for setting in _SETTINGS for text in ("-c", setting))

_KEPT = (
    "GIT_ASKPASS",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
)
"""Beginnings of the caller's GIT_ variables that say how to reach hosts; the others say what
repository to work on, or trace secrets to standard error, and are left out."""

_FIXED = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_DEFAULT_REF_FORMAT": "files",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


class GitFailedError(UnreachableError):
    """A git command failed; callers that know what it was for turn this into a better message."""

    def __init__(self, arguments: Sequence[str], status: int, stderr: str) -> None:
        verb = next((text for text in arguments if not text.startswith("-")), "")
        super().__init__(f"git {verb} failed with status {status}: {stderr.strip()}")
        self.stderr = stderr.strip()


class SilentHostError(UnreachableError):
    """A host, or git for it, said nothing for too long and was given up."""


@valueclass
class Git:
    """Git with a complete environment and a place to work; `Git.of` makes the first."""

    variables: Mapping[str, str]
    directory: Path
    patience_s: float = PATIENCE_S

    @classmethod
    def of(cls, variables: Mapping[str, str], patience_s: float = PATIENCE_S) -> Git:
        """Git as the caller of flowrun has it, hardened; it works nowhere in particular."""
        kept = {
            name: value
            for name, value in variables.items()
            if not name.startswith("GIT_") or name.startswith(_KEPT)
        }
        kept.pop("LANGUAGE", None)
        return cls(kept | _FIXED, Path("/"), patience_s)

    def inside(self, directory: Path) -> Git:
        """Work in a directory of the user's; git finds out which repository it belongs to."""
        return replace(self, directory=directory)

    def on(
        self,
        repository: Path,
        *,
        work_tree: Path | None = None,
        index: Path | None = None,
        borrowed: Path | None = None,
    ) -> Git:
        """Work on this repository alone.

        Args:
            repository: its git directory.
            work_tree: the folder whose files are meant; by default none.
            index: the index file to use instead of the repository's own.
            borrowed: an objects folder of another repository, to read from.
        """
        places = {
            "GIT_DIR": repository,
            "GIT_WORK_TREE": work_tree,
            "GIT_INDEX_FILE": index,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": borrowed,
        }
        named = {name: str(path) for name, path in places.items() if path is not None}
        return replace(
            self, variables={**self.variables, **named}, directory=work_tree or repository
        )

    def logged_in(self, credentials: Credentials | None) -> Git:
        """Use these credentials, and no others, for their host."""
        if credentials is None:
            return self
        taken = int(self.variables.get("GIT_CONFIG_COUNT") or "0")
        return replace(self, variables={**self.variables, **credentials.variables(taken)})

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run to the end and give back what it prints.

        Raises:
            GitFailedError: a status that is not 0.
        """
        with _git_program(self.variables):
            done = subprocess.run(
                ("git", *_OPTIONS, *arguments),
                cwd=self.directory,
                env=self.variables,
                input=stdin,
                capture_output=True,
                check=False,
            )
        if done.returncode != 0:
            raise GitFailedError(arguments, done.returncode, os.fsdecode(done.stderr))
        return done.stdout

    def text(self, *arguments: str) -> str:
        """Run to the end and give back what it prints as text, without the last line break."""
        return os.fsdecode(self.run(*arguments)).removesuffix("\n")

    def asked(self, *arguments: str) -> str | None:
        """Run a question that git answers by its status: the text, or None for "no"."""
        try:
            return self.text(*arguments)
        except GitFailedError as failed:
            if failed.stderr:
                raise
            return None

    @contextmanager
    def reading(self, *arguments: str, stdin: IO[bytes] | None = None) -> Iterator[BufferedReader]:
        """Run and give what it prints while it does; it is ended if that isn't read to the end.

        Raises:
            GitFailedError: a status that is not 0, after all was read.
        """
        with _git_program(self.variables):
            process = subprocess.Popen(
                ("git", *_OPTIONS, *arguments),
                cwd=self.directory,
                env=self.variables,
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        with _ended(process):
            stdout = _pipe(process.stdout)
            yield stdout
            if not stdout.read(1) and process.wait() != 0:
                raise GitFailedError(arguments, process.returncode, "")

    def talk(self, *arguments: str, on_line: Callable[[str], None]) -> bytes:
        r"""Run a command that talks to a host, for as long as the host keeps saying something.

        Args:
            arguments: the command.
            on_line: gets each line of standard error as it comes; `\r` ends a line as well.

        Raises:
            GitFailedError: a status that is not 0.
            SilentHostError: it said nothing for longer than `patience_s` seconds.
        """
        with _git_program(self.variables):
            process = subprocess.Popen(
                ("git", *_OPTIONS, *self._impatience(), *arguments),
                cwd=self.directory,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        with _ended(process):
            stdout, stderr = _both(process, self.patience_s + 1, on_line)
            if process.wait() != 0:
                raise GitFailedError(arguments, process.returncode, stderr)
        return stdout

    def _impatience(self) -> tuple[str, ...]:
        """Let git itself give a silent web server up, a little before it is given up here.

        It talks to web servers through a helper, which would live on if git were only ended.
        """
        seconds = max(1, round(self.patience_s))
        return ("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={seconds}")


def _both(
    process: subprocess.Popen[bytes], patience_s: float, on_line: Callable[[str], None]
) -> tuple[bytes, str]:
    """Read both pipes to their ends: standard output, and standard error line by line."""
    out, err = _pipe(process.stdout).fileno(), _pipe(process.stderr).fileno()
    poll = select.poll()
    poll.register(out, select.POLLIN)
    poll.register(err, select.POLLIN)
    kept: dict[int, list[bytes]] = {out: [], err: []}
    rest, still_open = b"", {out, err}
    while still_open:
        ready = poll.poll(patience_s * 1000)
        if not ready:
            raise SilentHostError(f"it said nothing for {patience_s:g} s")
        for file, _ in ready:
            data = os.read(file, 65536)
            kept[file].append(data)
            if not data:
                poll.unregister(file)
                still_open.discard(file)
            if file == err:
                *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    on_line(os.fsdecode(line))
    return b"".join(kept[out]), os.fsdecode(b"".join(kept[err]))


def _pipe(file: IO[bytes] | None) -> BufferedReader:
    if not isinstance(file, BufferedReader):
        raise AssertionError("git was started without a pipe")
    return file


@contextmanager
def _git_program(variables: Mapping[str, str]) -> Iterator[None]:
    """Say it plainly when there is no git to start."""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename != "git":
            raise
        raise UnreachableError(
            f"git: there is no such program on PATH ({variables.get('PATH', 'not set')})",
            "flowrun keeps every project as a git tree: install git 2.31 or newer.",
        ) from error


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Never leave git behind; asked politely first, it removes what it has half made."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
