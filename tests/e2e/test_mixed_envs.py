"""The example with an environment of each kind, as a reader would run it, and then offline."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.test_examples import EXAMPLES, files_of
from tests.support.conda_channel import CondaChannel, installed_package, python_package
from tests.support.docker import IMAGE
from tests.support.git_http import git_host
from tests.support.offline import OFFLINE
from tests.support.space import Space

pytestmark = [
    *(pytest.mark.docker, pytest.mark.conda, pytest.mark.slow),
    pytest.mark.usefixtures("docker"),
]
LOCKED = {
    "prepare": ("conda", r"numpy-2[\d.]+-py\S+\.conda\n(.*\n)? +sha256: [0-9a-f]{64}"),
    "train": ("virtualenv", r"numpy==1\.26\.4 \\\n +--hash=sha256:"),
    "check": ("docker", r"image: flowrun-env:\w+\nplatform: linux/\w+\nid: sha256:[0-9a-f]{64}"),
}


def test_mixed_envs_runs_from_a_tag_and_again_without_network(space: Space) -> None:
    repository = space.repository("work", files_of(EXAMPLES / "mixed-envs"))
    repository.tag("v1.0", "the first")
    channels = space.path / "channels"
    CondaChannel(channels / "conda-forge").add(python_package(), installed_package("numpy"))
    mirrors = {"FLOWRUN_CONDA_CHANNEL_ALIAS": channels.as_uri(), "BASE_IMAGE": IMAGE}
    space = replace(space, variables=mirrors)
    repository.bare(space.path / "git" / "mixed.git")
    with git_host(space.path / "git") as host:
        uri = f"{host.url}/mixed.git"
        space.flowrun("run", uri, "-v", "v1.0")
    first = {step: space.run_of(step) for step in LOCKED}
    for step, (backend, lock) in LOCKED.items():
        tags = first[step]["tags"]
        assert tags["flowrun.env.backend"] == backend
        assert tags["mlflow.source.git.commit"] == repository.head
        assert re.search(lock, _lock(space, first[step])), _lock(space, first[step])
    used = [first[step]["tags"]["flowrun.value.numpy"] for step in ("prepare", "train")]
    assert [version.partition(".")[0] for version in used] == ["2", "1"]
    assert first["check"]["metrics"]["test_rmse"] < 0.2

    verified = space.flowrun("verify", "latest", "--json").json()
    assert {step["verdict"] for step in verified["steps"]} == {"same"}

    shutil.rmtree(channels)
    # A tag may have moved, which nobody can tell without network: so the commit that it was.
    again = subprocess.run(
        [
            *OFFLINE,
            sys.executable,
            "-m",
            "flowrun",
            "run",
            uri,
            "-v",
            repository.head,
            "--no-cache",
        ],
        env=space.environment(),
        cwd=space.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert not re.search(r"\| (resolving|building|pulling)", again.stdout)
    for step, before in first.items():
        run = space.run_of(step)
        assert run["run_id"] != before["run_id"]
        assert _facts(run) == _facts(before)


def _lock(space: Space, run: dict[str, Any]) -> str:
    parent, _, path = run["tags"]["flowrun.env.lock"].removeprefix("runs:/").partition("/")
    return space.read(f"{space.home}/artifacts/{run['experiment_id']}/{parent}/artifacts/{path}")


def _facts(run: dict[str, Any]) -> dict[str, object]:
    """Give what equal runs have in common: their environment, and what came of them."""
    tags = {
        name: json.loads(text)["sha256"] if name.startswith("flowrun.output.") else text
        for name, text in run["tags"].items()
        if name.startswith(("flowrun.output.", "flowrun.env.", "flowrun.value."))
        and name != "flowrun.env.lock"
    }
    return {**tags, "metrics": run["metrics"]}
