"""`flowrun envs`: what a user sees of the environments on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.envs.gate import Gate
from tests.envs.wheels import write_package, write_sdist, write_wheel
from tests.support.docker import IMAGE
from tests.support.space import Space

PROJECT = """
python_env: envs/one.yaml
entry_points:
  lone: {command: "python -c 'import one'"}
  main:
    steps:
      first: {entry_point: lone}
      second: {run: "python -c 'import two'", python_env: envs/two.yaml}
"""


@pytest.fixture
def space(tmp_path: Path) -> Space:
    """Give a project with two environments, and a folder that has all packages there are."""
    space = Space(
        tmp_path,
        {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(tmp_path / "wheels"),
            "PIP_NO_INDEX": "1",
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        },
    )
    for name in ("one", "two"):
        write_wheel(tmp_path / "wheels", name, "1")
        space.write({f"p/envs/{name}.yaml": f"dependencies: [{name}]"})
    space.write({"p/MLproject": PROJECT})
    return space


def test_environments_are_built_before_anything_runs(space: Space) -> None:
    done = space.flowrun("envs", "build", "p", "--json")
    assert [row["asked_by"] for row in done.json()] == [["lone", "main/first"], ["main/second"]]
    assert "lone and 1 more | resolving envs/one.yaml (1 requirement)" in done.err
    assert "main/second | ready after " in done.err
    for wheel in (space.path / "wheels").iterdir():
        wheel.unlink()
    run = space.flowrun("run", "p")
    assert "building environment" not in run.text


def test_environments_are_listed_shown_and_removed(space: Space) -> None:
    space.flowrun("envs", "build", "p")
    header, first, second, _, total = space.flowrun("envs", "list").out.splitlines()
    assert header.split("  ")[0] == "KEY"
    assert {line.split("(")[1].split(")")[0] for line in (first, second)} == {
        "envs/one.yaml",
        "envs/two.yaml",
    }
    assert total.startswith("2 environments, ")
    (listed, _) = space.flowrun("envs", "list", "--json").json()
    assert listed["kind"] == "virtualenv"
    assert listed["in_use"] is False
    shown = space.flowrun("envs", "show", listed["key"][:8])
    assert f"folder     {listed['folder']}" in shown.out
    name = listed["asked_by"][0].split("envs/")[1].split(".")[0]
    assert shown.out.splitlines()[-1].split() == [name, "1"]
    assert Path(listed["lock"]).read_text().startswith("# env/1\n")
    told = space.flowrun("envs", "gc", "--all", "--dry-run").out.splitlines()[-1]
    assert told.startswith("2 environments would be removed: ")
    assert "0 environments removed" in space.flowrun("envs", "gc").out
    done = space.flowrun("envs", "gc", "--all").out.splitlines()[-1]
    assert done == told.replace("would be removed", "removed").replace("would come", "came")
    assert not Path(listed["folder"]).exists()
    assert space.flowrun("envs", "list", "--json").json() == []


def test_what_is_locked_is_built(space: Space) -> None:
    assert "has no MLproject.lock" in space.flowrun("envs", "build", "p", "--locked", code=2).err
    space.flowrun("lock", "p")
    write_wheel(space.path / "wheels", "one", "2")
    space.flowrun("envs", "build", "p", "--locked")
    envs = space.flowrun("envs", "list", "--json").json()
    packages = [space.flowrun("envs", "show", env["key"]).out.splitlines()[-1] for env in envs]
    assert sorted(" ".join(each.split()) for each in packages) == ["one 1", "two 1"]
    assert "building environment" not in space.flowrun("run", "p", "--locked").text


@pytest.mark.slow
def test_what_a_run_uses_is_not_removed(space: Space) -> None:
    gate = Gate(space.path / "gate")
    write_package(space.path / "pkg", "gated", "", extra=gate.code())
    write_sdist(space.path / "wheels", space.path / "pkg", "gated")
    space.write({"p/envs/two.yaml": "dependencies: [two, gated]"})
    space.flowrun("envs", "build", "p", "--env-manager", "local")  # builds nothing
    assert space.flowrun("envs", "list", "--json").json() == []
    process = space.start("run", "p")
    gate.wait_for_build()
    removed = space.flowrun("envs", "gc", "--all", "--json").json()
    assert (removed["environments"], removed["unfinished"]) == ([], [])
    gate.open()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(space.flowrun("envs", "gc", "--all", "--json").json()["environments"]) == 2


def test_environment_that_can_not_be_built_does_not_stop_the_others(space: Space) -> None:
    space.write({"p/envs/one.yaml": "dependencies: [unheard-of]"})
    done = space.flowrun("envs", "build", "p", code=3)
    assert "lone and 1 more | FAILED - " in done.err
    assert "main/second | ready after" in done.err
    assert done.err.splitlines()[-1] == "flowrun: 1 of 2 environments can't be built."


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.usefixtures("docker")
def test_images_are_listed_and_removed_if_flowrun_built_them(space: Space) -> None:
    steps = f"""
entry_points:
  pulled: {{command: "true", docker_env: {{image: '{IMAGE}'}}}}
  built: {{command: "true", docker_env: {{build: .}}}}
"""
    space.write({"d/MLproject": steps, "d/Dockerfile": f"FROM {IMAGE}\nRUN echo {space.path}\n"})
    space.flowrun("envs", "build", "d")
    listed = space.flowrun("envs", "list", "--json").json()
    images = {env["image"].partition(":")[0]: env for env in listed}
    assert images["flowrun-env"]["asked_by"] == [f"{(space.path / 'd').as_uri()} (Dockerfile)"]
    assert images["flowrun-env"]["size_bytes"] > 0
    removed = space.flowrun("envs", "gc", "--all", "--json").json()["environments"]
    assert [env["image_id"] for env in removed] == [images["flowrun-env"]["image_id"]]
    (left,) = space.flowrun("envs", "list", "--json").json()
    assert left["image"] == IMAGE
    no_engine = space.flowrun("envs", "list", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "Images are not shown: No Docker engine answers" in no_engine.err


WRONG = {
    "no such key": (["show", "123"], "No environment has a key that begins with '123'."),
    "no age": (["gc", "--older-than", "soon"], "--older-than soon: write it as 12h, 30d or 8w."),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_wrong_words_are_told(words: list[str], message: str, space: Space) -> None:
    done = space.flowrun("envs", *words, code=2)
    assert f"flowrun: {message}" in done.err
