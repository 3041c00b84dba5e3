"""A machine without network whose package index is a folder, and a project on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowrun.envs.base import EnvRequest, PrefixEnv, never
from flowrun.envs.store import EnvStore
from flowrun.spec.project import EnvKind, EnvSpec, Mark
from tests.envs.wheels import write_wheel

PYTHON = Path(sys.executable)


@dataclass
class EnvSpace:
    """A project folder, an environment store, and what the caller has set."""

    folder: Path
    variables: dict[str, str]
    said: list[str] = field(default_factory=list)
    """What the last calls of `ensure` told the user."""
    disk: Path | None = None
    """Where the store is, if not beside the project."""

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def root(self) -> Path:
        return (self.disk or self.folder) / "store"

    @property
    def wheels(self) -> Path:
        return self.folder / "wheels"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def store(self) -> EnvStore:
        return EnvStore(self.root, variables=self.variables, caller_python=PYTHON)

    def request(self, spec: EnvSpec | None = None) -> EnvRequest:
        return EnvRequest(spec or EnvSpec(EnvKind.IMPLIED), self.project)

    def check(self, spec: EnvSpec | None = None, manager: str | None = None) -> None:
        self.store().check(self.request(spec), manager)

    def ensure(
        self,
        spec: EnvSpec | None = None,
        manager: str | None = None,
        *,
        is_cancelled: Callable[[], bool] = never,
    ) -> PrefixEnv:
        request = self.request(spec)
        env = self.store().ensure(request, manager, self.said.append, is_cancelled=is_cancelled)
        assert isinstance(env, PrefixEnv)
        return env

    def python(self, env: PrefixEnv, code: str) -> str:
        return run(env.python, "-c", code, directory=self.folder)


def run(*argv: str | Path, directory: Path) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [str(word) for word in argv], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python_env(path: str = "python_env.yaml") -> EnvSpec:
    return EnvSpec(EnvKind.PYTHON, Mark("MLproject", 3, 13), path)


def conda_env(path: str = "conda.yaml") -> EnvSpec:
    return EnvSpec(EnvKind.CONDA, Mark("MLproject", 3, 12), path)


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the tests of one process: what uv knows of interpreters is slow to find out."""
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def space(tmp_path: Path, uv_cache: Path) -> EnvSpace:
    """A machine without network; alpha 1 and 2, and beta (needs alpha below 2), can be had."""
    home = tmp_path / "home"
    home.mkdir()
    space = EnvSpace(
        tmp_path,
        {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "PYENV_ROOT": str(Path(sys.base_prefix).parent.parent),
            "UV_CACHE_DIR": str(uv_cache),
            "PIP_FIND_LINKS": str(tmp_path / "wheels"),
            "PIP_NO_INDEX": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "XDG_CONFIG_DIRS": str(tmp_path / "etc"),
        },
    )
    space.project.mkdir()
    write_wheel(space.wheels, "alpha", "1.0")
    write_wheel(space.wheels, "alpha", "2.0", scripts=["alpha = alpha:main"])
    write_wheel(space.wheels, "beta", "1.0", requires=["alpha<2"])
    return space
