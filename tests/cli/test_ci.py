"""What `flowrun ci init` writes: files that the CI systems accept, and that trust nobody."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowrun.cli.ci import FILES, CiSystem
from flowrun.cli.own_origin import own_requirement
from flowrun.errors import UsageError
from tests.support.repositories import Repository
from tests.support.space import Space

PLACE = "git+https://git.example.org/tools/flowrun.git@0123456789012345678901234567890123456789"
PROJECT = {"MLproject": "entry_points:\n  main: {command: echo hello}\n"}
CONDA = {
    "MLproject": "conda_env: env.yaml\nentry_points:\n  main: {command: echo hello}\n",
    "env.yaml": "dependencies: [python]\n",
}
SYSTEMS = pytest.mark.parametrize("system", list(CiSystem))
SCHEMAS = {
    CiSystem.GITHUB: "vendor.github-workflows",
    CiSystem.GITLAB: "vendor.gitlab-ci",
}


def made(space: Space, system: CiSystem, *words: str, **files: str) -> Any:  # noqa: ANN401 - YAML
    """Give the file that is written for a project in a folder of a repository."""
    repository = space.repository("work", {f"pipelines/a b/{n}": t for n, t in PROJECT.items()})
    repository.commit({f"pipelines/a b/{name}": text for name, text in files.items()})
    folder = repository.path / "pipelines/a b"
    space.flowrun("ci", "init", system, folder, "--flowrun-from", PLACE, *words)
    return yaml.safe_load((repository.path / FILES[system]).read_text())


def steps_of(workflow: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - YAML
    found: list[dict[str, Any]] = workflow["jobs"]["reproduce"]["steps"]
    return found


@SYSTEMS
def test_the_file_fits_the_published_schema_of_its_system(space: Space, system: CiSystem) -> None:
    made(space, system)
    words = ["check_jsonschema", "--builtin-schema", SCHEMAS[system], "work/" + FILES[system]]
    if system is CiSystem.GITLAB:
        words += ["--data-transform", "gitlab-ci"]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=space.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@SYSTEMS
def test_the_project_and_flowrun_reach_the_scripts_as_variables_only(
    space: Space, system: CiSystem
) -> None:
    written = made(space, system)
    job = written["jobs"]["reproduce"] if system is CiSystem.GITHUB else written["reproduce"]
    variables = job["env"] if system is CiSystem.GITHUB else job["variables"]
    assert variables == {"PROJECT": "./pipelines/a b", "FLOWRUN": f"flowrun @ {PLACE}"}
    if system is CiSystem.GITHUB:
        scripts = [step["run"] for step in steps_of(written) if "run" in step]
    else:
        scripts = job["before_script"] + job["script"]
    text = "\n".join(scripts)
    assert "${{" not in text
    assert set(re.findall(r'(?<!")\$\w+', text)) == set()  # each variable in quotes
    assert "pipelines" not in text


def test_the_workflow_may_read_the_code_and_nothing_else(space: Space) -> None:
    workflow = made(space, CiSystem.GITHUB)
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["reproduce"]
    assert "pull_request_target" not in workflow[True]  # YAML reads `on` as true
    checkout = next(s for s in steps_of(workflow) if "checkout" in s.get("uses", ""))
    assert checkout["with"] == {"persist-credentials": False}


def test_every_action_is_pinned_to_a_commit(space: Space) -> None:
    used = [step["uses"] for step in steps_of(made(space, CiSystem.GITHUB)) if "uses" in step]
    assert len(used) == 3
    assert [each for each in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each)] == []


@SYSTEMS
def test_a_file_that_is_there_is_replaced_only_by_force(space: Space, system: CiSystem) -> None:
    repository = space.repository("work", {**PROJECT, FILES[system]: "mine"})
    words = ("ci", "init", system, "work", "--flowrun-from", PLACE)
    assert "exists" in space.flowrun(*words, code=2).err
    assert (repository.path / FILES[system]).read_text() == "mine"
    space.flowrun(*words, "--force")
    assert "flowrun verify" in (repository.path / FILES[system]).read_text()


def test_a_workflow_may_be_written_beside_the_one_that_is_there(space: Space) -> None:
    repository = space.repository("work", {**PROJECT, ".gitlab-ci.yml": "mine"})
    words = ("ci", "init", "gitlab", "work", "--flowrun-from", PLACE)
    hint = "-o ci/flowrun.yml, and add `include: {local: ci/flowrun.yml}` to it"
    assert hint in space.flowrun(*words, code=2).err
    space.flowrun(*words, "-o", "work/ci/flowrun.yml")
    written = yaml.safe_load((repository.path / "ci/flowrun.yml").read_text())
    assert written["reproduce"]["variables"]["PROJECT"] == "."
    assert (repository.path / ".gitlab-ci.yml").read_text() == "mine"


def test_a_folder_is_never_taken_for_an_option(space: Space) -> None:
    repository = space.repository("work", {f"--json/{n}": t for n, t in PROJECT.items()})
    space.flowrun("ci", "init", "gitlab", "./work/--json", "--flowrun-from", PLACE)
    job = yaml.safe_load((repository.path / ".gitlab-ci.yml").read_text())["reproduce"]
    assert job["variables"]["PROJECT"] == "./--json"


def test_a_project_with_conda_environments_gets_flowrun_with_conda(space: Space) -> None:
    job = made(space, CiSystem.GITLAB, **CONDA)["reproduce"]
    assert job["variables"]["FLOWRUN"] == f"flowrun[conda] @ {PLACE}"


def test_a_wheel_in_the_repository_is_a_place_to_install_from(space: Space) -> None:
    repository = space.repository("work", {**PROJECT, "vendor/flowrun-0.1.0-py3-none-any.whl": ""})
    wheel = "vendor/flowrun-0.1.0-py3-none-any.whl"
    space.flowrun("ci", "init", "gitlab", "work", "--flowrun-from", wheel)
    job = yaml.safe_load((repository.path / ".gitlab-ci.yml").read_text())["reproduce"]
    assert job["variables"]["FLOWRUN"] == f"./{wheel}"


REFUSED = {
    "the name that is somebody else's": ("flowrun==0.1.0", "is no place to install flowrun from"),
    "an option": ("--index-url=https://evil.example", "is no place to install flowrun from"),
    "plain http": ("http://me:s3cr3t@host/flowrun.tgz", "is no place to install flowrun from"),
    "an expression": ("git+https://host/${{ github.head_ref }}", "is no place to install"),
    "a command": ("git+https://host/x;id", "is no place to install flowrun from"),
    "a line break": ("git+https://host/x\nscript: id", "is no place to install flowrun from"),
    "a password": ("git+https://me:s3cr3t@host/flowrun.git", "must hold no user or password"),
    "a token": ("https://s3cr3t@host/flowrun.tgz", "must hold no user or password"),
    "a wheel elsewhere": ("../flowrun-0.1.0-py3-none-any.whl", "is not inside"),
    "a wheel that is not there": ("flowrun-0.1.0-py3-none-any.whl", "there is no such file"),
}


@pytest.mark.parametrize(("place", "reason"), REFUSED.values(), ids=REFUSED)
def test_flowrun_is_installed_only_from_an_address_without_secrets(
    space: Space, place: str, reason: str
) -> None:
    repository = space.repository("work", PROJECT)
    done = space.flowrun("ci", "init", "github", "work", f"--flowrun-from={place}", code=2)
    assert reason in done.err
    assert "s3cr3t" not in done.err
    assert not (repository.path / ".github").exists()


def test_without_a_place_the_one_this_flowrun_came_from_is_taken_or_asked_for(
    tmp_path: Path,
) -> None:
    origins = {
        '{"url": "https://h/f.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}': (
            "git+https://h/f.git@abc"
        ),
        '{"url": "https://h/f.whl", "archive_info": {"hashes": {"sha256": "12"}}}': (
            "https://h/f.whl#sha256=12"
        ),
        '{"url": "file:///home/me/flowrun", "dir_info": {"editable": true}}': None,
    }
    for number, (text, expected) in enumerate(origins.items()):
        folder = tmp_path / str(number) / "flowrun-0.1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: flowrun\nVersion: 0.1.0\n")
        (folder / "direct_url.json").write_text(text)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(folder.parent))
            if expected:
                assert own_requirement() == expected
                continue
            with pytest.raises(UsageError, match="no other machine finds it"):
                own_requirement()


WRONG = {
    "no project": ({"README.md": ""}, "there is no MLproject"),
    "no repository": (None, "is in no git repository"),
}


@pytest.mark.parametrize(("files", "reason"), WRONG.values(), ids=WRONG)
def test_ci_is_for_a_project_in_a_repository(
    space: Space, files: dict[str, str] | None, reason: str
) -> None:
    if files is None:
        space.write({f"work/{name}": text for name, text in PROJECT.items()})
    else:
        Repository.make(space.path / "work", files)
    done = space.flowrun("ci", "init", "github", "work", "--flowrun-from", PLACE, code=2)
    assert reason in done.err
