"""Runs a build command: keeps its log, and tells its last lines when it fails."""

from __future__ import annotations

import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowrun.envs.masking import mask
from flowrun.errors import EnvError

LAST_LINES = 12
_STOP_TIMEOUT_S = 5.0


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

    It has no terminal and no input, so that it can't ask questions.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        variables: Mapping[str, str],
        *,
        directory: Path,
        log: Path,
        what: str,
    ) -> None:
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
        )
        title = mask(" ".join(str(word) for word in argv))
        self._reader = threading.Thread(target=self._read, args=(title,), daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            CommandFailedError: it did not exit with 0.
        """
        exit_code = self._process.wait()
        self._reader.join()
        if exit_code != 0:
            raise CommandFailedError(self._what, exit_code, "\n".join(self._tail), self._log)

    def stop(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(_STOP_TIMEOUT_S)

    def _read(self, title: str) -> None:
        assert self._process.stdout is not None  # noqa: S101  asked for with PIPE
        with self._process.stdout as lines, self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {title}\n")
            for line in lines:
                text = mask(line.rstrip())
                self._tail.append(text)
                log.write(f"{text}\n")
                log.flush()
