"""What `import flowrun` costs and gives, installed whole and as a step's light copy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import flowrun
from flowrun.engine.services import Home
from flowrun.stores import open_stores
from flowrun.tracking import fluent
from flowrun.tracking.entities import RunStatus
from flowrun.tracking.light import LIGHT_MODULES
from tests.fluent.light import REPOSITORY, Light
from tests.support.serving import TOKEN, serving


@pytest.fixture
def light(tmp_path: Path) -> Light:
    return Light.copy(tmp_path)


def test_the_import_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import flowrun\n"
        "print(sorted(set(sys.modules) - before - {'importlib', 'importlib._bootstrap', "
        "'importlib._bootstrap_external', '_frozen_importlib_external', 'warnings', '_warnings'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout in {"['flowrun']\n", "['__future__', 'flowrun']\n"}


def test_logging_loads_no_slow_module(light: Light) -> None:
    done = light.run(
        "import sys, flowrun; flowrun.log_metric\n"
        "slow = {'typing', 'dataclasses', 'inspect', 'pathlib', 'asyncio', 'tempfile', 'logging'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("name", LIGHT_MODULES)
def test_the_light_client_is_written_for_python_3_9(name: str) -> None:
    tree = ast.parse((REPOSITORY / name).read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match)


def test_every_name_is_found() -> None:
    for name in flowrun.__all__:
        assert getattr(flowrun, name) is not None
    assert dir(flowrun) == sorted(flowrun.__all__)
    assert flowrun.log_metric is fluent.log_metric


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'flowrun' has no attribute 'log_metrik'"):
        flowrun.log_metrik  # noqa: B018


def test_a_step_is_told_that_it_has_no_whole_flowrun(light: Light) -> None:
    for statement in ("import flowrun; flowrun.run", "from flowrun import run"):
        done = light.run(statement)
        assert done.stderr.splitlines()[-1] == (
            "ImportError: flowrun.run is not available in a step: there, flowrun is only what logs "
            "(start_run, log_metric, ...). Install flowrun itself to use it."
        )


def test_a_whole_flowrun_behind_the_light_copy_is_found(light: Light) -> None:
    done = light.run(
        "import flowrun, flowrun.tracking.fluent, flowrun.tracking.store, flowrun.settings, "
        "flowrun.plan.plan\n"
        "for module in (flowrun, flowrun.tracking.fluent, flowrun.tracking.store, "
        "flowrun.settings):"
        " print(module.__file__)",
        None,
        REPOSITORY,
    )
    copy = light.folder / "light" / "flowrun"
    whole = REPOSITORY / "flowrun"
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        str(copy / "__init__.py"),
        str(copy / "tracking" / "fluent.py"),
        str(whole / "tracking" / "store.py"),
        str(whole / "settings.py"),
    ]


def interpreters() -> dict[str, Path]:
    """Find one Python of each version from 3.9 on, beside the one that runs the tests."""
    found = {f"3.{sys.version_info.minor}": Path(sys.executable)}
    for python in sorted(Path(sys.base_prefix).parent.glob("3.*/bin/python")):
        minor = int(python.parts[-3].split(".")[1])
        if minor >= 9:
            found.setdefault(f"3.{minor}", python)
    return found


PYTHONS = interpreters()


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_a_step_of_any_python_logs(light: Light, tmp_path: Path, python: Path) -> None:
    with serving(tmp_path) as server:
        run_id = server.new_run()
        done = light.run(
            "import flowrun\n"
            "with flowrun.start_run(), flowrun.start_run(nested=True):\n"
            "    flowrun.log_param('a', 1)\n"
            "    for step in range(100): flowrun.log_metric('loss', step, step=step)\n"
            "    flowrun.log_text('x', 'in/a.txt')\n"
            "print(len(flowrun.search_runs()))",
            {
                "MLFLOW_TRACKING_URI": server.url,
                "MLFLOW_TRACKING_TOKEN": TOKEN,
                "MLFLOW_RUN_ID": run_id,
            },
            python=python,
        )
        assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_every_module_of_the_client_needs_the_standard_library_only(
    light: Light, python: Path
) -> None:
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in LIGHT_MODULES
        if name != "flowrun/models/full_yaml.py"  # is imported only where PyYAML is
    ]
    done = light.run(
        f"import importlib\nfor name in {names}: importlib.import_module(name)", python=python
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_outside_of_steps_the_default_store_is_logged_to(tmp_path: Path) -> None:
    script = (
        "import flowrun\n"
        "for step in range(100): flowrun.log_metric('loss', step, step=step)\n"
        "flowrun.log_text('x', 'a.txt')\n"
        "print(flowrun.active_run().info.run_id)\n"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "FLOWRUN_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    with open_stores(Home(home).database_uri, Home(home).artifacts) as stores:
        run = stores.tracking.get_run(done.stdout.strip())
        assert run.info.status is RunStatus.FINISHED
        assert run.metrics["loss"].value == 99
        files = stores.open_artifacts(run.info.artifact_uri).list()
        assert [file.path for file in files] == ["a.txt"]
