"""The workflows of `flowrun ci init`, run as their CI systems would: green and red in time."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowrun.cli.ci import FILES, CiSystem
from tests.envs.wheels import write_wheel
from tests.support.repositories import Repository
from tests.support.space import Done, Space

EXAMPLE = Path(__file__).parents[2] / "examples" / "chained" / "features"
INSTALL = "pip install"
SYSTEMS = pytest.mark.parametrize("system", list(CiSystem))

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Job:
    """A job in a fresh clone, on a machine that has flowrun already."""

    space: Space
    system: CiSystem
    repository: Repository

    @property
    def clone(self) -> Path:
        return self.space.path / "clone"

    @property
    def proof(self) -> Path:
        """Where the job leaves what is kept."""
        if self.system is CiSystem.GITHUB:
            return self.space.path / "proof"
        return self.clone / ".flowrun-proof"

    @property
    def summary(self) -> str:
        place = self.space.path / "summary.md"
        return (place if self.system is CiSystem.GITHUB else self.proof / "summary.md").read_text()

    def run(self) -> Done:
        """Carry out the scripts in order, until one fails."""
        self.repository.git("clone", "--quiet", str(self.repository.path), str(self.clone))
        written = yaml.safe_load((self.clone / FILES[self.system]).read_text())
        if self.system is CiSystem.GITHUB:
            job = written["jobs"]["reproduce"]
            scripts = [step["run"] for step in job["steps"] if "run" in step]
            variables = job["env"]
        else:
            job = written["reproduce"]
            scripts = [*job["before_script"], *job["script"]]
            variables = job["variables"]
        assert INSTALL in scripts[0]
        done = Done(0, "", "")
        for script in scripts[1:]:
            done = self.shell(script, variables)
            if done.code != 0:
                return done
        return done

    def shell(self, script: str, variables: Mapping[str, Any]) -> Done:
        """Run a script in the clone, as CI systems do: the first failure ends it."""
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.clone,
            env=self.space.environment(
                PATH=f"{Path(sys.executable).parent}:{self.space.environment()['PATH']}",
                RUNNER_TEMP=str(self.space.path),
                GITHUB_STEP_SUMMARY=str(self.space.path / "summary.md"),
                **variables,
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(process.returncode, process.stdout, process.stderr)


def job_of(space: Space, system: CiSystem) -> Job:
    """Give the job of an example that was locked and has a workflow."""
    files = {f"features/{path.name}": path.read_bytes() for path in EXAMPLE.iterdir()}
    repository = space.repository("work", files)
    write_wheel(repository.path / "vendor", "flowrun", "0.1.0")
    space.flowrun("lock", "work/features")
    wheel = "vendor/flowrun-0.1.0-py3-none-any.whl"
    space.flowrun("ci", "init", system, "work/features", "--flowrun-from", wheel)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "-m", "prove it")
    return Job(space, system, repository)


@SYSTEMS
def test_a_project_that_gives_the_same_again_is_green(space: Space, system: CiSystem) -> None:
    job = job_of(space, system)
    done = job.run()
    assert done.code == 0, done.text
    assert "main" in job.summary
    suite = ElementTree.parse(job.proof / "report.xml").getroot()  # noqa: S314 - our own
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert "features.csv" in (job.proof / "provenance.json").read_text()


@SYSTEMS
def test_a_number_by_chance_is_red_and_named(space: Space, system: CiSystem) -> None:
    job = job_of(space, system)
    script = (EXAMPLE / "make_features.py").read_text()
    chance = "\nimport os\nopen('features.csv', 'a').write(os.urandom(8).hex() + '\\n')\n"
    job.repository.commit({"features/make_features.py": script + chance})
    done = job.run()
    assert done.code == 1, done.text
    assert "table" in job.summary
    suite = ElementTree.parse(job.proof / "report.xml").getroot()  # noqa: S314 - our own
    assert suite.get("failures") == "1"
    assert not (job.proof / "provenance.json").exists()


@SYSTEMS
def test_a_stale_lock_is_red_before_anything_runs(space: Space, system: CiSystem) -> None:
    job = job_of(space, system)
    project = (EXAMPLE / "MLproject").read_text() + "\npython_env: env.yaml\n"
    env = "dependencies: [demo]\n"
    job.repository.commit({"features/MLproject": project, "features/env.yaml": env})
    done = job.run()
    assert done.code == 1, done.text
    assert "env.yaml" in done.text
    assert space.runs() == []


@SYSTEMS
def test_a_step_that_fails_is_red(space: Space, system: CiSystem) -> None:
    job = job_of(space, system)
    job.repository.commit({"features/make_features.py": "raise SystemExit(3)\n"})
    assert job.run().code == 1
    assert not (job.proof / "report.xml").exists()


def test_what_the_workflow_installs_is_understood_by_pip(space: Space) -> None:
    job = job_of(space, CiSystem.GITLAB)
    written = yaml.safe_load((job.repository.path / FILES[job.system]).read_text())
    (script,) = written["reproduce"]["before_script"]
    variables = written["reproduce"]["variables"]
    uv = f"uv pip install --python {sys.executable} --dry-run --no-deps --target t"
    tried = script.replace("python -m pip install", uv)
    job.repository.git("clone", "--quiet", str(job.repository.path), str(job.clone))
    done = job.shell(tried, variables)
    assert done.code == 0, done.text
    assert "clone/vendor/flowrun-0.1.0-py3-none-any.whl" in done.err
