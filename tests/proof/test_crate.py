"""A run as a crate: valid for the released validator, whole, and nothing outside of it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from flowrun.errors import InvalidValueError
from flowrun.proof.contents import RunFiles
from flowrun.proof.crate.target import open_target
from flowrun.proof.crate.write import write_crate
from flowrun.proof.reading import RunReader
from flowrun.proof.recorded import RecordedEnv
from tests.e2e.projects import MODEL_PIPELINE, ONE_STEP, PIPELINE
from tests.proof.conftest import Open
from tests.proof.test_packages import CONDA, IMAGE, VIRTUALENV
from tests.support.crate_validator import CrateValidator, crate_validator
from tests.support.space import Space

LOCAL = ("--env-manager", "local")
FAILING = {
    "MLproject": """\
entry_points:
  first: {command: "echo one > a.txt", outputs: {a: a.txt}}
  second: {command: "exit 3", outputs: {b: b.txt}}
  third: {command: "cat {a}", parameters: {a: path}}
  main:
    steps:
      first: {}
      second: {needs: first}
      third: {needs: second, with: {a: "${{ steps.first.outputs.a }}"}}
""",
}
NO_FILE = {"hello.py": "print('hello')\n"}
PROJECTS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "a single command": (ONE_STEP, ()),
    "a pipeline": (PIPELINE, ()),
    "models": (MODEL_PIPELINE, ()),
    "models without data": (MODEL_PIPELINE, ("--no-data",)),
    "a failed pipeline": (FAILING, ()),
    "a script without a project file": (NO_FILE, ()),
}
_UNKNOWN = "not recorded"
_AFFILIATION = "the organizational `affiliation`."
KNOWN = {
    "The SoftwareApplication id SHOULD be an absolute URI": "packages are named by package URLs",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`": _UNKNOWN,
    "The author SHOULD have an organizational affiliation.": _UNKNOWN,
    f"The author SHOULD have a Contextual Entity which specifies {_AFFILIATION}": _UNKNOWN,
}
"""Recommendations that a crate does not follow, and why."""


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrateValidator]:
    with crate_validator(tmp_path_factory.mktemp("validator")) as made:
        yield made


def graph_of(crate: Path) -> dict[str, dict[str, Any]]:
    """Give the entities of a crate by their ids."""
    read = json.loads((crate / "ro-crate-metadata.json").read_text())
    return {entity["@id"]: entity for entity in read["@graph"]}


def of_type(graph: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entity for entity in graph.values() if kind in entity["@type"]]


def ids(value: object) -> list[str]:
    """Give the ids that a property refers to."""
    listed: list[Any] = value if isinstance(value, list) else [value] if value else []
    return [each["@id"] for each in listed]


def exported(space: Space, files: dict[str, str], *words: str) -> Path:
    space.repository("p", files)
    space.flowrun("run", "p", *LOCAL)
    space.flowrun("export", "latest", "--format", "ro-crate", "-o", "crate", *words)
    return space.path / "crate"


@pytest.mark.slow
@pytest.mark.parametrize(("files", "words"), PROJECTS.values(), ids=PROJECTS)
def test_the_released_validator_accepts_it_as_a_provenance_run_crate(
    space: Space,
    validator: CrateValidator,
    files: dict[str, str],
    words: tuple[str, ...],
) -> None:
    space.repository("p", files)
    entry_point = "main" if "MLproject" in files else "hello.py"
    space.flowrun("run", "p", "-e", entry_point, *LOCAL, code=None)
    to = ("-o", "crate", "--license", "Apache-2.0")
    space.flowrun("export", "latest", "--format", "ro-crate", *to, *words)
    verdict = validator.look_at(space.path / "crate")
    assert verdict.profile == "provenance-run-crate-0.5"
    assert verdict.of("REQUIRED") == set()
    # Of what is elsewhere it can't see whether it is there.
    told = {each for each in verdict.of("RECOMMENDED") if not each.startswith("Web-based Data")}
    assert told - KNOWN.keys() == set()


@pytest.mark.slow
def test_every_kind_of_environment_and_other_projects_are_described(
    space: Space, validator: CrateValidator, opened: Open
) -> None:
    space.repository("p", PIPELINE)
    run_id = space.flowrun("run", "p", *LOCAL, "--json").json()["run_id"]
    image = "registry.example:5000/ml/python:3.12"
    environments = [
        RecordedEnv("docker", "", IMAGE, image, f"sha256:{'e' * 64}"),
        RecordedEnv("conda", "", CONDA),
        RecordedEnv("virtualenv", "", VIRTUALENV),
        RecordedEnv("virtualenv", "", None),
    ]
    with opened(space) as stores:
        run = RunReader(stores).read(run_id)
        other = replace(run.source, uri="https://host/other.git", tree="f" * 40)
        steps = [replace(step, env=env) for step, env in zip(run.steps, environments, strict=False)]
        steps[1] = replace(steps[1], source=other)
        changed = replace(run, steps=(*steps, *run.steps[len(steps) :]))
        write_crate(changed, RunFiles(stores), space.path / "crate", license_name="MIT")
    verdict = validator.look_at(space.path / "crate")
    assert verdict.of("REQUIRED") == set()
    told = {each for each in verdict.of("RECOMMENDED") if not each.startswith("Web-based Data")}
    assert told - KNOWN.keys() == set()
    graph = graph_of(space.path / "crate")
    (container,) = of_type(graph, "ContainerImage")
    facts = {"name": "ml/python", "registry": "registry.example:5000", "tag": "3.12"}
    assert container | facts | {"sha256": "e" * 64} == container
    assert f"#tool/{'f' * 40}/train" in graph
    assert graph["pkg:conda/six@1.16.0?build=py_1"]["softwareVersion"] == "1.16.0"


@pytest.mark.slow
def test_the_validator_sees_a_crate_that_lacks_something(
    space: Space, validator: CrateValidator
) -> None:
    crate = exported(space, PIPELINE)
    (crate / "MLproject").unlink()
    assert validator.look_at(crate).of("REQUIRED") != set()


def test_every_file_is_described_with_its_digest_and_size(anywhere: Space) -> None:
    crate = exported(anywhere, PIPELINE)
    graph = graph_of(crate)
    stored = {each.relative_to(crate).as_posix() for each in crate.rglob("*") if each.is_file()}
    described = {unquote(each["@id"]): each for each in of_type(graph, "File")}
    outside = {name for name in described if ":" in name}
    assert described.keys() - outside == stored - {"ro-crate-metadata.json"}
    for name in stored - {"ro-crate-metadata.json"}:
        content = (crate / name).read_bytes()
        assert described[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert described[name]["contentSize"] == str(len(content))
    # The one input that no step has made: its bytes are in the project's repository.
    (words,) = outside
    digest = hashlib.sha256(PIPELINE["words.txt"].encode()).hexdigest()
    assert (described[words]["sha256"], described[words]["contentUrl"]) == (digest, "words.txt")
    assert (crate / "MLproject").read_text() == PIPELINE["MLproject"]
    assert (
        crate / "steps/001-prepare/outputs/table/sorted.txt"
    ).read_text() == "apple\nfig\npear\n"
    assert json.loads((crate / "record.json").read_text())["format"] == "flowrun-record/1"


def test_steps_are_linked_from_plan_to_action_to_data(space: Space) -> None:
    graph = graph_of(exported(space, PIPELINE))
    (organized,) = of_type(graph, "OrganizeAction")
    controls = [graph[each] for each in ids(organized["object"])]
    assert [graph[ids(each["instrument"])[0]]["name"] for each in controls] == [
        "prepare",
        *(f"train[lr={lr}]" for lr in ("0.3", "0.1", "0.2")),
        "best",
        "report",
    ]
    prepare, train = (graph[ids(each["object"])[0]] for each in controls[:2])
    assert prepare["description"].startswith("mkdir data")
    assert prepare["actionStatus"] == "http://schema.org/CompletedActionStatus"
    (table,) = [each for each in ids(prepare["result"]) if each.startswith("steps/")]
    assert table in ids(train["object"])
    loss = [graph[each] for each in ids(train["result"]) if "metric" in each]
    assert [(each["name"], each["value"]) for each in loss] == [("loss", 0.3)]
    (workflow,) = of_type(graph, "ComputationalWorkflow")
    assert [graph[each]["name"] for each in ids(workflow["input"])] == ["lr"]
    assert ids(graph[ids(train["instrument"])[0]]["softwareRequirements"])
    used = [graph[each] for each in ids(train["resourceUsage"])]
    assert {each["name"] for each in used} == {"peak memory", "processor time"}


def test_a_failed_step_is_told_with_its_reason_and_a_skipped_one_has_no_action(
    space: Space,
) -> None:
    space.repository("p", FAILING)
    space.flowrun("run", "p", *LOCAL, code=1)
    space.flowrun("export", "latest", "--format", "ro-crate", "-o", "crate")
    graph = graph_of(space.path / "crate")
    failed = [each for each in of_type(graph, "Action") if each["name"] == "second"]
    assert [(each["actionStatus"], "3" in each["error"]) for each in failed] == [
        ("http://schema.org/FailedActionStatus", True)
    ]
    assert "third" not in [each["name"] for each in of_type(graph, "HowToStep")]


def test_large_files_are_described_and_not_copied(space: Space) -> None:
    big = "entry_points:\n  main:\n    command: head -c 1100000 /dev/zero > big && echo a > small\n"
    files = {"MLproject": big + "    outputs: {big: big, small: small}\n"}
    crate = exported(space, files, "--max-file-mib", "1")
    assert (crate / "steps/001-main/outputs/small/small").exists()
    assert not list(crate.rglob("big"))
    (described,) = [
        e for e in of_type(graph_of(crate), "File") if e.get("contentSize") == "1100000"
    ]
    assert described["sha256"] == hashlib.sha256(bytes(1100000)).hexdigest()
    assert described["contentUrl"].startswith("runs:/")


def test_a_zip_holds_the_same_and_has_the_same_bytes_each_time(space: Space) -> None:
    crate = exported(space, PIPELINE)
    for name in ("one.zip", "two.zip"):
        space.flowrun("export", "latest", "--format", "ro-crate", "-o", name)
    assert (space.path / "one.zip").read_bytes() == (space.path / "two.zip").read_bytes()
    with zipfile.ZipFile(space.path / "one.zip") as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            assert archive.read(name) == (crate / name).read_bytes()


def test_only_a_crate_is_replaced_and_only_by_force(space: Space) -> None:
    crate = exported(space, ONE_STEP)
    words = ("export", "latest", "--format", "ro-crate", "-o")
    assert "crate exists" in space.flowrun(*words, "crate", code=2).err
    (crate / "README.md").write_text("changed")
    space.flowrun(*words, "crate", "--force")
    assert (crate / "README.md").read_text() != "changed"
    space.write({"home/precious.txt": "mine"})
    assert "home exists" in space.flowrun(*words, "home", "--force", code=2).err
    assert space.read("home/precious.txt") == "mine"
    (space.path / "empty").mkdir()
    space.flowrun(*words, "empty")
    assert (space.path / "empty" / "ro-crate-metadata.json").exists()


def test_an_export_that_fails_leaves_nothing(space: Space) -> None:
    space.repository("p", PIPELINE)
    space.flowrun("run", "p", *LOCAL)
    (changed,) = (space.home / "artifacts").glob("**/sorted.txt")
    changed.chmod(0o600)
    changed.write_text("another\n")
    before = sorted(each.name for each in space.path.iterdir())
    for place in ("crate", "crate.zip"):
        words = ("export", "latest", "--format", "ro-crate", "-o", place)
        assert "is not what the run has made" in space.flowrun(*words, code=2).err
    assert sorted(each.name for each in space.path.iterdir()) == before


OUTSIDE = {
    "climbing": "../escaped",
    "climbing inside": "steps/../../escaped",
    "absolute": "/escaped",
    "encoded": "%2e%2e/escaped",
    "backslash": "..\\escaped",
    "nothing": "steps//x",
    "control character": "a\nb",
}


@pytest.mark.parametrize("place", ["crate", "crate.zip"])
@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
def test_no_file_is_put_outside_of_the_crate(tmp_path: Path, place: str, path: str) -> None:
    with (
        pytest.raises(InvalidValueError, match="Invalid path"),
        open_target(tmp_path / "in" / place, replace=False) as target,
    ):
        target.put(path, [b"x"])
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_names_of_steps_and_outputs_become_harmless_folders(space: Space) -> None:
    odd = """\
entry_points:
  make: {parameters: {x: string}, command: "echo {x} > 'a b#%.txt'", outputs: {out: "a b#%.txt"}}
  main:
    steps:
      make:
        matrix: {x: ["../../up", "/abs", "a b"]}
        with: {x: "${{ matrix.x }}"}
"""
    space.repository("p", {"MLproject": odd})
    space.flowrun("run", "p", *LOCAL, code=None)
    space.flowrun("export", "latest", "--format", "ro-crate", "-o", "deep/crate")
    crate = space.path / "deep" / "crate"
    assert [each.name for each in (space.path / "deep").iterdir()] == ["crate"]
    described = {unquote(each["@id"]) for each in of_type(graph_of(crate), "File")}
    stored = {each.relative_to(crate).as_posix() for each in crate.rglob("*") if each.is_file()}
    assert stored - {"ro-crate-metadata.json"} <= described


def test_what_others_have_written_into_a_record_leads_nowhere(space: Space, opened: Open) -> None:
    """Everybody who may log to a server may set any tag of a run."""
    space.repository("p", ONE_STEP)
    run_id = space.flowrun("run", "p", *LOCAL, "--json").json()["run_id"]
    there = {"uri": f"runs:/{run_id}/logs/stdout.log", "sha256": "0" * 64, "size_bytes": 1}
    odd = {
        "flowrun.output...a/b c": json.dumps({**there, "uri": f"runs:/{run_id}/../../etc"}),
        "flowrun.output.secrets": json.dumps({**there, "uri": "file:///etc/passwd"}),
        "flowrun.output.no-digest": json.dumps({**there, "sha256": "../../x"}),
        "flowrun.output.no-json": "{",
        "flowrun.input./abs": json.dumps({**there, "uri": "models:/../../x"}),
        "flowrun.env.key": "../../../key",
        "flowrun.step": "../../step",
    }
    with opened(space) as stores:
        stores.tracking.log_batch(run_id, tags=odd)
    for words in (("json",), ("ro-crate", "-o", "in/crate")):
        space.flowrun("export", run_id, "--format", *words)
    inside = space.path / "in"
    assert [each.name for each in inside.iterdir()] == ["crate"]
    stored = [each for each in (inside / "crate").rglob("*") if each.is_file()]
    assert not any(b"root:" in each.read_bytes() for each in stored)
    assert (inside / "crate/steps/001-step/logs/stdout.log").exists()
    # What is recorded of an output is not what is there.
    with opened(space) as stores:
        stores.tracking.log_batch(run_id, tags={"flowrun.output.logs": json.dumps(there)})
    refused = space.flowrun("export", run_id, "--format", "slsa", code=2)
    assert "output" in refused.err


def test_no_secret_of_the_run_is_in_it(space: Space) -> None:
    text = ONE_STEP["MLproject"].replace("echo alpha={alpha}", "echo $API_TOKEN; cat in.txt")
    files = {"MLproject": text + "    secrets: [API_TOKEN]\n", "in.txt": "https://a:pw@h/x\n"}
    space.repository("p", files)
    space.flowrun("run", "p", *LOCAL, API_TOKEN="s3cr3t-s3cr3t")
    space.flowrun("export", "latest", "--format", "ro-crate", "-o", "crate")
    stored = [each for each in (space.path / "crate").rglob("*") if each.is_file()]
    assert any(b"API_TOKEN" in each.read_bytes() for each in stored)
    assert not any(b"s3cr3t-s3cr3t" in each.read_bytes() for each in stored)


def test_a_crate_needs_a_place(space: Space) -> None:
    assert "-o PLACE" in space.flowrun("export", "x", "--format", "ro-crate", code=2).err
