"""Runs a build command: keeps its log, and tells its last lines when it fails."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flowrun.envs.masking import mask
from flowrun.errors import CancelledError, EnvError

LAST_LINES = 12
LOOK_EVERY_S = 0.1
"""How often somebody is asked whether to go on."""
_GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""


class CommandFailedError(EnvError):
    """A build command ended with something else than 0."""

    def __init__(self, what: str, exit_code: int, tail: str, log: Path) -> None:
        ended = (
            f"exited with {exit_code}" if exit_code >= 0 else f"was killed by signal {-exit_code}"
        )
        super().__init__(f"{what} {ended}:\n{tail}", f"Log: {log}")
        self.what = what
        self.exit_code = exit_code
        self.ended = ended
        self.tail = tail
        """The last lines it printed, without credentials."""
        self.log = log


class Running:
    """A command on its way. What it prints is appended to the log as it comes, credentials masked.

    It has no terminal and no input, so that it can't ask questions, and a session of its own, so
    that a terminal's Ctrl-C reaches flowrun alone, which then decides what ends when.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        variables: Mapping[str, str],
        *,
        directory: Path,
        log: Path,
        what: str,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._is_cancelled = is_cancelled
        self._what = what
        self._log = log
        self._tail: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(
            [str(word) for word in argv],
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        title = mask(" ".join(str(word) for word in argv))
        self._reader = threading.Thread(target=self._read, args=(title,), daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            CommandFailedError: it did not exit with 0. CancelledError: it was ended.
        """
        while self._process.poll() is None:
            if self._is_cancelled():
                self.stop()
                raise CancelledError(f"cancelled during {self._what}")
            # A process closes its output when it ends: to wait for that takes no busy loop.
            self._reader.join(LOOK_EVERY_S)
            if not self._reader.is_alive():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(LOOK_EVERY_S)
        exit_code = self._process.returncode
        self._reader.join(_GRACE_S)
        if exit_code != 0:
            raise CommandFailedError(self._what, exit_code, "\n".join(self._tail), self._log)

    def stop(self) -> None:
        """End it and all it started, if it still runs."""
        if self._process.poll() is None:
            _signal_group(self._process, signal.SIGTERM)
            self._reader.join(_GRACE_S)  # until the last of them has ended
            _signal_group(self._process, signal.SIGKILL)
            self._process.wait()
        self._reader.join(_GRACE_S)

    def _read(self, title: str) -> None:
        assert self._process.stdout is not None  # noqa: S101  asked for with PIPE
        with self._process.stdout as lines, self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {title}\n")
            for line in lines:
                text = mask(line.rstrip())
                self._tail.append(text)
                log.write(f"{text}\n")
                log.flush()


def captured(
    argv: Sequence[str | Path], variables: Mapping[str, str], is_cancelled: Callable[[], bool]
) -> subprocess.CompletedProcess[str]:
    """Run a command where no project's settings apply; return its exit code and what it printed.

    Raises:
        OSError: it can't be started. CancelledError: it was ended.
    """
    words = [str(word) for word in argv]
    with subprocess.Popen(
        words,
        cwd=os.sep,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            while not is_cancelled():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    out, err = process.communicate(timeout=LOOK_EVERY_S)
                    return subprocess.CompletedProcess(words, process.returncode, out, err)
            raise CancelledError(f"cancelled during `{mask(' '.join(words[:3]))}`")
        finally:
            if process.poll() is None:
                _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a process and its children, for as long as nobody has waited for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
