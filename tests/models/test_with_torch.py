"""Runs the tests of libraries that stand on PyTorch, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# By pip, not uv: its settings say where there is a build of PyTorch for processors only, if there
# is. Elsewhere it takes the one of the package index.
PACKAGES = ("torch==2.13.0", "keras>=3", "lightning>=2", "safetensors", "transformers>=5,<6")


@pytest.mark.slow
def test_models_that_stand_on_pytorch(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    python = environment / "bin" / "python"
    _run(sys.executable, "-m", "virtualenv", "--quiet", environment)
    own = sysconfig.get_path("purelib")
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    (Path(packages) / "tests.pth").write_text(own)  # flowrun, MLflow, pytest
    _run(python, "-m", "pip", "install", "--no-compile", *PACKAGES)
    tests = REPOSITORY / "tests" / "models" / "with_torch"
    done = _run(python, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", tests)
    assert " passed" in done


def _run(*words: str | Path) -> str:
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"}
    variables = {k: v for k, v in os.environ.items() if k not in left_out}  # noqa: TID251
    done = subprocess.run(
        words,
        cwd=REPOSITORY,
        env={**variables, "KERAS_BACKEND": "torch"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
