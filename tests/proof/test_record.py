"""The canonical record of a run: the same wherever it is kept, and as its schema says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from flowrun.proof.record import record_schema
from tests.e2e.projects import MODEL_PIPELINE, ONE_STEP, PIPELINE
from tests.support.space import Space

LOCAL = ("--env-manager", "local")
PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "record.schema.json"
PROJECTS = {"a single command": ONE_STEP, "a pipeline": PIPELINE, "models": MODEL_PIPELINE}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
def test_the_record_is_what_its_schema_says(space: Space, files: dict[str, str]) -> None:
    space.repository("p", files)
    space.flowrun("run", "p", *LOCAL)
    schema = json.loads(record_schema())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(space.flowrun("export", "latest").json())


def test_the_schema_is_published_as_it_is() -> None:
    assert PUBLISHED.read_text() == record_schema()


def test_the_record_is_canonical_and_says_all(anywhere: Space) -> None:
    repository = anywhere.repository("p", PIPELINE)
    anywhere.flowrun("run", "p", *LOCAL, "--run-name", "first", "-P", "lr=0.4")
    done = anywhere.flowrun("export", "latest")
    record = done.json()
    sorted_text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert done.out == sorted_text + "\n"
    assert record["format"] == "flowrun-record/1"
    assert record["source"]["commit"] == repository.head
    assert record["project_file"] == PIPELINE["MLproject"]
    steps = {step["id"]: step for step in record["steps"]}
    assert steps["train[lr=0.1]"]["metrics"] == {"loss": 0.1}
    made, taken = steps["prepare"]["outputs"]["table"], steps["train[lr=0.1]"]["inputs"]["table"]
    assert made == taken
    environment = record["environments"][steps["prepare"]["environment"]]
    assert hashlib.sha256(environment["lock"].encode()).hexdigest() in record["environments"]
    assert len(record["environments"]) == 1
    anywhere.flowrun("export", record["run_id"], "-o", "out/record.json")
    assert (anywhere.path / "out/record.json").read_text() == done.out


def test_a_file_that_is_there_is_replaced_only_by_force(space: Space) -> None:
    space.repository("p", ONE_STEP)
    space.flowrun("run", "p", *LOCAL)
    space.write({"record.json": "mine"})
    refused = space.flowrun("export", "latest", "-o", "record.json", code=2)
    assert "record.json exists" in refused.err
    assert "--force" in refused.err
    assert space.read("record.json") == "mine"
    space.flowrun("export", "latest", "-o", "record.json", "--force")
    assert json.loads(space.read("record.json"))["name"]
    assert sorted(each.name for each in space.path.glob("*record*")) == ["record.json"]


def test_a_number_that_json_does_not_have_is_a_text(space: Space) -> None:
    lines = ("entry_points:", "  main:", "    command: cp odd.json m.json", "    metrics: m.json")
    space.write({"p/MLproject": "\n".join(lines), "p/odd.json": '{"loss": NaN}'})
    space.flowrun("run", "p", *LOCAL)
    (step,) = space.flowrun("export", "latest").json()["steps"]
    assert step["metrics"] == {"loss": "NaN"}
