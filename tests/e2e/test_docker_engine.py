"""Engines that are not there, refuse, or go away."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.other_user import as_another_user
from tests.support.own_engine import IMAGE, own_engine
from tests.support.space import Space
from tests.support.waiting import until

PROJECT = (
    f"docker_env: {{image: '{IMAGE}', network: none}}\nentry_points:\n  main: {{command: %s}}\n"
)
NO_ENGINE = {
    "nobody is there": ("unix:///no/such.sock", "unix:///no/such.sock: No such file or directory."),
    "nobody listens": ("unix://{space}/old.sock", "{space}/old.sock: Connection refused."),
    "nobody listens on a port": ("tcp://127.0.0.1:9", "tcp://127.0.0.1:9: Connection refused."),
    "no address": ("ftp://somewhere", "ftp://somewhere: "),
}


@pytest.mark.parametrize(("host", "why"), NO_ENGINE.values(), ids=NO_ENGINE.keys())
def test_no_engine_is_one_message_before_any_run_exists(space: Space, host: str, why: str) -> None:
    space.write({"p/MLproject": PROJECT % "echo"})
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(space.path / "old.sock"))
    host, why = (text.replace("{space}", str(space.path)) for text in (host, why))
    done = space.flowrun("run", "p", code=3, DOCKER_HOST=host)
    message, hint = done.err.splitlines()[-2:]
    assert message.startswith(f"flowrun: No Docker engine answers at {host}")
    assert why in message
    assert hint == "Start it, or say with DOCKER_HOST where it is (Podman's socket will do)."
    assert space.runs() == []


def test_an_engine_that_lets_nobody_in_is_told_in_the_systems_words() -> None:
    code = (
        "import sys; from flowrun.envs.docker_engine import connect\n"
        "connect({'DOCKER_HOST': sys.argv[1]})"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as name, socket.socket(socket.AF_UNIX) as engine:
        engine.bind(f"{name}/socket")
        engine.listen()
        Path(name, "socket").chmod(0)
        Path(name).chmod(0o711)
        done = subprocess.run(
            [*as_another_user(), sys.executable, "-c", code, f"unix://{name}/socket"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
    message = f"EnvError: No Docker engine answers at unix://{name}/socket: Permission denied."
    assert message in done.stderr


def test_a_plan_needs_no_engine(space: Space) -> None:
    space.write({"p/MLproject": PROJECT % "echo"})
    assert "echo" in space.flowrun("plan", "p", DOCKER_HOST="unix:///no/such.sock").out


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_restarts_in_mid_run_fails_the_step_and_keeps_nothing(
    space: Space, number: signal.Signals
) -> None:
    space.write({"p/MLproject": PROJECT % '"echo up; sleep 600"'})
    with own_engine() as engine:
        process = space.start("run", "p", **engine.variables)
        assert process.stdout is not None
        assert any("| up" in line for line in process.stdout)
        engine.stop(number)
        engine.start()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3, out + err
        why = "its command could not run: the Docker engine stopped answering"
        assert why in out
        assert why in space.runs()[0]["tags"]["flowrun.error"]
        until(lambda: engine.containers() == [], 30, "the containers' end")
