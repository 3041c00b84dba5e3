"""A real container engine for the tests, and a small image made from this machine's own files.

An engine that answers is used; else one is started, which the last test process to end stops.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from docker.errors import ImageNotFound

from flowrun.envs.docker_engine import Engine, connect
from flowrun.errors import EnvError
from tests.contracts.executor import is_alive
from tests.support.waiting import until

IMAGE = f"flowrun-test/python:{sys.version_info.major}.{sys.version_info.minor}"
"""Python with pip, sh, bash and the usual small tools."""
_SCRIPT = Path(__file__).with_name("make_base_image.sh")
_SHARED = Path(tempfile.gettempdir()) / f"flowrun-test-docker-{os.getuid()}"
_START_TIMEOUT_S = 60


@dataclass(frozen=True)
class TestEngine:
    """An engine with the test image in it."""

    __test__ = False

    engine: Engine
    image_id: str

    def labelled(self, label: str) -> list[str]:
        """Give the ids of all containers with this label, running or not."""
        found = self.engine.api.containers(all=True, quiet=True, filters={"label": label})
        return [str(container["Id"]) for container in found]


@contextmanager
def docker_engine() -> Iterator[TestEngine]:
    """Give the engine, and the image in it; start it first if none answers."""
    _SHARED.mkdir(mode=0o700, exist_ok=True)
    with (_SHARED / "users").open("w") as users, (_SHARED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            engine = _answering() or _started()
            image_id = _image(engine)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
        try:
            yield TestEngine(engine, image_id)
        finally:
            engine.api.close()
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_last(users):
                _stop_ours()


def _answering() -> Engine | None:
    try:
        return connect(os.environ)  # noqa: TID251 - the tests' own surroundings
    except EnvError:
        return None


def _started() -> Engine:
    program = shutil.which("dockerd")
    if program is None:
        pytest.skip("needs dockerd (apt-get install docker.io)")
    if os.geteuid() != 0:
        pytest.skip("needs a Docker engine that answers, or root to start one")
    state = _SHARED / "state"
    state.mkdir(exist_ok=True)
    # By a shell that ends at once: the engine may outlive the test process that starts it.
    command = 'setsid "$@" >"$0" 2>&1 </dev/null & echo $!'
    log = str(_SHARED / "dockerd.log")
    pid = subprocess.run(
        ["sh", "-c", command, log, program, "--data-root", str(state / "data")],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    (_SHARED / "pid").write_text(pid)
    until(lambda: _answering() is not None, _START_TIMEOUT_S, "the Docker engine")
    engine = _answering()
    assert engine is not None
    return engine


def _stop_ours() -> None:
    pid_file = _SHARED / "pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    pid_file.unlink()
    subprocess.run(["kill", str(pid)], check=False)
    until(lambda: not is_alive(pid), _START_TIMEOUT_S, "the engine's end")
    shutil.rmtree(_SHARED / "state", ignore_errors=True)


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _image(engine: Engine) -> str:
    inspect = engine.api.inspect_image
    try:
        return str(inspect(IMAGE)["Id"])  # type: ignore[no-untyped-call]  # the stubs say nothing
    except ImageNotFound:
        base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}"
        with tempfile.TemporaryDirectory() as config:
            variables = {**os.environ, "DOCKER_CONFIG": config}  # noqa: TID251
            subprocess.run(["bash", str(_SCRIPT), IMAGE, str(base)], check=True, env=variables)
        return str(inspect(IMAGE)["Id"])  # type: ignore[no-untyped-call]  # as above
