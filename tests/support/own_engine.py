"""A container engine for one test, which may stop it: in a network of its own, beside any other.

with own_engine() as engine:
    space.flowrun("run", "p", **engine.variables)
    engine.stop(signal.SIGKILL)
    engine.start()
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs.docker_engine import Engine, connect
from flowrun.errors import EnvError
from tests.support.offline import OFFLINE
from tests.support.small_image import add_small_image
from tests.support.waiting import until

IMAGE = "small:1"
"""What it has: a shell, `cat`, `sleep` and `touch`."""
_TIMEOUT_S = 60


@dataclass
class OwnEngine:
    """An engine that listens on a socket in its folder."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """What tells a client of it."""
        return {"DOCKER_HOST": f"unix://{self.folder}/socket"}

    def start(self) -> None:
        """Start it and wait until it answers."""
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        options = [f"--{name}={self.folder / place}" for name, place in places.items()]
        # Its network has no way out, so that it can't touch the bridge of the machine's own engine.
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        command = [*OFFLINE, "dockerd", "--host", self.variables["DOCKER_HOST"]]
        # Of an engine that was killed; a new one takes its dead process, not reaped yet, for alive.
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *network, *options], stdout=log, stderr=log)
        until(self._answers, _TIMEOUT_S, "the engine")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; by SIGTERM, its containers end before."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(_TIMEOUT_S)
            self.process = None

    def connect(self) -> Engine:
        """Give a connection to it, to be closed."""
        return connect(self.variables)

    def containers(self) -> list[str]:
        """Give the ids of its containers, running or not."""
        engine = self.connect()
        try:
            return [str(found["Id"]) for found in engine.api.containers(all=True)]
        finally:
            engine.api.close()

    def _answers(self) -> bool:
        try:
            self.connect().api.close()
        except EnvError:
            return False
        return True


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """Start an engine with a small image in it; end and remove it afterwards."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("needs dockerd (apt-get install docker.io), and root to start it")
    # Not pytest's own folders: their path is too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="flowrun-engine-", dir="/tmp"))
    own = OwnEngine(folder)
    try:
        own.start()
        engine = own.connect()
        add_small_image(engine, IMAGE)
        engine.api.close()
        yield own
    finally:
        own.stop()
        for place in _mounted(folder):
            subprocess.run(["umount", "--lazy", place], check=True)
        shutil.rmtree(folder)


def _mounted(folder: Path) -> list[str]:
    """Give what is mounted below a folder, the innermost first."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((place for place in places if place.startswith(f"{folder}/")), reverse=True)
