"""Builds that stop in the middle until a test lets them go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.contracts.executor import is_alive
from tests.support.waiting import until


@dataclass(frozen=True)
class Gate:
    """A closed gate in a package's build."""

    path: Path
    """Made when it is opened."""

    def code(self, *, ignores_sigterm: bool = False) -> str:
        """Return what a build runs to come to the gate (`extra` of `write_package`)."""
        ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if ignores_sigterm else ""
        return (
            f"import os, signal, time; {ignore}gate = pathlib.Path({str(self.path)!r}); "
            "pids = gate.with_suffix('.tmp'); pids.write_text(f'{os.getppid()} {os.getpid()}');"
            " pids.rename(gate.with_suffix('.pids'));"
            " [time.sleep(0.02) for _ in range(3000) if not gate.exists()]"
        )

    def wait_for_build(self) -> None:
        """Return once a build has come to the gate."""
        until(lambda: self._pids.exists(), 60, "the build")  # behind a start of flowrun and of uv

    def wait_for_end(self) -> None:
        """Return once the build and uv, which runs it, are gone."""
        until(lambda: not self.is_built, what="the end of the build")

    @property
    def is_built(self) -> bool:
        """Whether a process of the build is alive."""
        return any(is_alive(int(pid)) for pid in self._pids.read_text().split())

    def open(self) -> None:
        """Let builds go on."""
        self.path.touch()

    @property
    def _pids(self) -> Path:
        return self.path.with_suffix(".pids")
