"""What a model's environment is asked to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.serving.prepare import environment_request
from flowrun.spec.project import EnvKind

CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], list[str]]] = {
    "what scoring needs is added": ("six==1.17.0\n", ("pandas",), (), ["six==1.17.0", "pandas"]),
    "what the model asks for stays": (
        "pandas[excel]==2.2.0\nPandas_Extra\n",
        ("pandas", "pandas-extra"),
        (),
        ["pandas[excel]==2.2.0", "Pandas_Extra"],
    ),
    "what is given takes the place": (
        "six==1.17.0\nnumpy\n",
        ("pandas",),
        ("six==1.16.0", "pandas==2.2.0"),
        ["numpy", "six==1.16.0", "pandas==2.2.0"],
    ),
    "constraints stay": ("six\n-c constraints.txt", (), (), ["six", "-c constraints.txt"]),
    "nothing asked": ("", ("pandas",), (), ["pandas"]),
}


@pytest.mark.parametrize("name", CASES)
def test_requirements_of_a_model_are_kept(tmp_path: Path, name: str) -> None:
    text, extra, instead, lines = CASES[name]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "requirements.txt").write_text(text)
    (folder / "python_env.yaml").write_text("dependencies: [-r requirements.txt]\n")
    request = environment_request(folder, tmp_path / "env", "virtualenv", extra, instead)
    assert (tmp_path / "env" / "requirements.txt").read_text().splitlines() == lines
    assert (request.spec.kind, request.spec.path) == (EnvKind.PYTHON, "python_env.yaml")
    assert (folder / "requirements.txt").read_text() == text


def test_model_without_a_python_environment_has_its_requirements(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    request = environment_request(tmp_path / "model", tmp_path / "env", "uv", ("pandas",))
    assert request.spec.path == "requirements.txt"
