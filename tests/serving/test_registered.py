"""A version of a registered model, served from flowrun's own store in an environment of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowrun.engine.services import Home
from flowrun.stores import open_stores
from tests.serving.models import TEXT
from tests.support.scoring import scoring
from tests.support.space import Space

WHERE = """
import importlib.util, sys
from flowrun.models import set_model

def say(model_input):
    return [sys.prefix, sys.version.split()[0], importlib.util.find_spec("sklearn") is None]

set_model(say)
"""
LOG = """
import sys
import flowrun
from flowrun.models.signature import ModelSignature

flowrun.pyfunc.log_model(
    name="where",
    python_model=sys.argv[1],
    signature=ModelSignature.from_dict({"inputs": sys.argv[2]}),
    pip_requirements=["six"],
    registered_model_name="where",
)
"""
ROW = {"dataframe_records": [{"what": "?"}]}


@pytest.mark.slow
def test_version_is_served_in_its_own_environment_and_outlives_its_deletion(tmp_path: Path) -> None:
    space = Space(tmp_path)
    space.write({"where.py": WHERE, "log.py": LOG})
    home = tmp_path / "home"
    inputs = TEXT.inputs
    assert inputs is not None
    subprocess.run(
        [sys.executable, "log.py", "where.py", inputs.to_json()],
        cwd=tmp_path,
        env=space.environment(FLOWRUN_HOME=str(home)),
        check=True,
    )
    made = space.flowrun("models", "prepare-env", "-m", "models:/where/1", FLOWRUN_HOME=str(home))
    with scoring(tmp_path, "models:/where/1", manager="virtualenv") as server:
        prefix, version, has_no_sklearn = server.ask(ROW).json["predictions"]
        assert prefix.startswith(str(Home(home).envs))
        assert made.out == f"ready: {prefix}/bin/python\n"
        assert version == sys.version.split()[0]
        assert has_no_sklearn is True
        kept = Home(home)
        with open_stores(kept.database_uri, kept.artifacts) as stores:
            stores.registry.delete_model_version("where", "1")
        (pid,) = server.children()
        os.kill(pid, signal.SIGKILL)
        assert server.ask(ROW).status == 200
    words = ("models", "serve", "-m", "models:/where/1", "-p", "0")
    done = space.flowrun(*words, code=2, FLOWRUN_HOME=str(home))
    assert done.err.splitlines() == [
        "flowrun: models:/where/1: Model Version (name=where, version=1) not found",
        "The registered model 'where' has no version yet.",
    ]
