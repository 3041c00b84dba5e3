"""What a user is told when an environment can't be resolved or built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs.failures import explained
from flowrun.envs.process import CommandFailedError
from flowrun.errors import EnvError
from tests.envs.conftest import EnvSpace
from tests.envs.wheels import write_package, write_wheel

LOST = "http://user:secret@localhost:9/simple"


@dataclass(frozen=True)
class Failure:
    files: Mapping[str, str]
    message: str
    """Without the hint; LOG stands for the log's path."""
    variables: Mapping[str, str] | None = None


FAILURES = {
    "no such package": Failure(
        {"python_env.yaml": "dependencies:\n- torhc\n"},
        "environment of python_env.yaml: uv pip compile exited with 1: "
        "there is no package 'torhc' (python_env.yaml:2).\nIs the name right? Log: LOG",
    ),
    "no such version": Failure(
        {
            "python_env.yaml": "dependencies: ['-r requirements.txt']",
            "requirements.txt": "alpha==9",
        },
        "environment of python_env.yaml: uv pip compile exited with 1: "
        "no version of 'alpha==9' (requirements.txt:1).\nIs the version right? Log: LOG",
    ),
    "only older versions": Failure(
        {"python_env.yaml": "dependencies: ['alpha>9']"},
        "environment of python_env.yaml: uv pip compile exited with 1: "
        "no version of 'alpha>9' (python_env.yaml:1); there is only alpha<=2.0.\n"
        "Is the version right? Log: LOG",
    ),
    "no answer from the index": Failure(
        {"python_env.yaml": "dependencies: [alpha]"},
        "environment of python_env.yaml: uv pip compile exited with 2: "
        "no answer from http://localhost:9/simple/alpha/.\nCheck the network and the index "
        "settings (UV_DEFAULT_INDEX, pip.conf). Log: LOG",
        {"UV_DEFAULT_INDEX": LOST, "UV_HTTP_RETRIES": "0"},
    ),
    "a hash of the project's that no file has": Failure(
        {"python_env.yaml": f"dependencies: ['alpha --hash=sha256:{'0' * 64}']"},
        "env KEY (python_env.yaml): uv pip install exited with 1: the file on the index for "
        "alpha==2.0 (python_env.yaml:1) is not the one whose hash the project gives.\n"
        "Either the hash is wrong, or the file was changed. Log: LOG",
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
def test_failure_says_what_is_wrong_and_what_to_do(case: Failure, space: EnvSpace) -> None:
    space.variables.update(case.variables or {})
    space.write(case.files)
    with pytest.raises(EnvError) as error:
        space.ensure()
    log = next((space.root / "logs").iterdir())
    told = re.sub(r"env [0-9a-f]{8} ", "env KEY ", str(error.value))
    assert told.replace(str(log), "LOG") == case.message


def test_conflict_is_told_in_uvs_words(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [alpha==2.0, beta]"})
    with pytest.raises(EnvError) as error:
        space.ensure()
    lines = error.value.message.splitlines()
    assert lines[0] == "environment of python_env.yaml: uv pip compile exited with 1:"
    assert lines[-1].endswith("your requirements are unsatisfiable.")


def test_failed_build_shows_its_last_lines_and_leaves_nothing(space: EnvSpace) -> None:
    write_package(space.project / "pkg", "local", "", extra="raise SystemExit('no compiler here')")
    space.write({"python_env.yaml": "dependencies: [./pkg, alpha]"})
    with pytest.raises(EnvError) as error:
        space.ensure()
    message = error.value.message
    assert "no compiler here" in message
    assert list(space.root.glob("envs/*")) == []
    assert list((space.root / "scratch").iterdir()) == []


def test_requirement_of_a_requirement_may_not_be_somebody_elses_flowrun(space: EnvSpace) -> None:
    write_wheel(space.wheels, "flowrun", "0.1")
    write_wheel(space.wheels, "gamma", "1.0", requires=["flowrun"])
    space.write({"python_env.yaml": "dependencies: [gamma]"})
    with pytest.raises(EnvError, match="'flowrun' on the package index is somebody else's package"):
        space.ensure()


def test_credentials_of_an_index_are_never_shown_or_kept(space: EnvSpace) -> None:
    space.variables.update(UV_DEFAULT_INDEX=LOST, UV_HTTP_RETRIES="0")
    space.write(
        {
            "python_env.yaml": "dependencies: ['-r r.txt']",
            "r.txt": "--extra-index-url http://me:secret@localhost:9/x\nalpha\n",
        }
    )
    with pytest.raises(EnvError) as error:
        space.ensure()
    kept = [path.read_bytes() for path in space.root.rglob("*") if path.is_file()]
    assert not [text for text in kept if b"secret" in text]
    assert not [text for text in [str(error.value), *space.said] if "secret" in text]


ENDS = {
    "disk full": (
        "error: Failed to install\n  cause: No space left on device (os error 28)",
        "env x: uv pip install exited with 2: the disk is full.\n"
        "Free some space; nothing half-made is left behind. Log: build.log",
    ),
    "host not found": (
        "error: Failed to fetch: `https://index.example/six/`\n  cause: dns error",
        "env x: uv pip install exited with 2: no answer from https://index.example/six/.\n"
        "Check the network and the index settings (UV_DEFAULT_INDEX, pip.conf). Log: build.log",
    ),
    "offline": (
        "hint: Packages were unavailable because the network was disabled.",
        "env x: uv pip install exited with 2: no answer from the package index.\n"
        "Check the network and the index settings (UV_DEFAULT_INDEX, pip.conf). Log: build.log",
    ),
}


@pytest.mark.parametrize(("tail", "message"), ENDS.values(), ids=ENDS)
def test_what_uv_says_is_told_in_plain_words(tail: str, message: str) -> None:
    failed = CommandFailedError("uv pip install", 2, tail, Path("build.log"))
    assert str(explained(failed, "env x", [])) == message
