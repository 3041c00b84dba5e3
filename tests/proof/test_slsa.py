"""SLSA provenance of a run: what in-toto's own library reads, about files that are there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from tests.e2e.projects import MODEL_PIPELINE, ONE_STEP, PIPELINE
from tests.support.space import Space

LOCAL = ("--env-manager", "local")


def statement_of(space: Space, *words: str) -> dict[str, Any]:
    done = space.flowrun("export", "latest", "--format", "slsa", *words)
    found: dict[str, Any] = done.json()
    return found


def artifact(space: Space, pattern: str) -> Path:
    """Give the one artifact whose path ends so."""
    (found,) = (space.home / "artifacts").glob(f"**/{pattern}")
    return found


def test_the_statement_is_one_that_in_toto_reads_without_leaving_anything_out(
    space: Space,
) -> None:
    space.repository("p", PIPELINE)
    space.flowrun("run", "p", *LOCAL)
    told = statement_of(space)
    statement = json_format.ParseDict(told, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    json_format.ParseDict(told["predicate"], provenance_pb2.Provenance())
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"


def test_subjects_are_the_files_of_outputs_and_models(anywhere: Space) -> None:
    anywhere.repository("p", MODEL_PIPELINE | {"template/MLmodel": MLMODEL})
    anywhere.flowrun("run", "p", *LOCAL)
    subjects = {each["name"]: each["digest"] for each in statement_of(anywhere)["subject"]}
    assert subjects == {
        "train/model/MLmodel": {"sha256": hashlib.sha256(MLMODEL.encode()).hexdigest()},
        "train/model/weights": {"sha256": hashlib.sha256(b"0.7\n").hexdigest()},
    }


def test_dependencies_are_code_inputs_and_packages(space: Space) -> None:
    repository = space.repository("p", PIPELINE)
    bare = repository.bare(space.path / "p.git")
    space.flowrun("run", bare.url, *LOCAL)
    predicate = statement_of(space, "--builder-id", "https://ci.example/run/7")["predicate"]
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    code, data, *rest = definition["resolvedDependencies"]
    assert code["uri"] == f"git+{bare.url}@{repository.head}"
    tree = repository.git("rev-parse", "HEAD^{tree}")
    assert code["digest"] == {"gitCommit": repository.head, "gitTree": tree}
    assert data["name"] == "input 'source' of step 'prepare'"
    words = hashlib.sha256(PIPELINE["words.txt"].encode()).hexdigest()
    assert data["digest"] == {"sha256": words}
    assert any(each["uri"].startswith("pkg:pypi/mlflow@") for each in rest)
    assert definition["externalParameters"]["parameters"] == {"lr": "0.3"}
    assert details["builder"]["id"] == "https://ci.example/run/7"
    logs = {each["name"] for each in details["byproducts"]}
    assert "report/logs/stdout.log" in logs


def test_what_was_not_committed_is_told(space: Space) -> None:
    repository = space.repository("p", PIPELINE)
    (repository.path / "words.txt").write_text("plum\n")
    space.flowrun("run", "p", *LOCAL)
    code = statement_of(space)["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert code["annotations"] == {"uncommittedChanges": True}
    assert code["digest"]["gitTree"] != repository.git("rev-parse", "HEAD^{tree}")


def test_nothing_is_stated_of_an_output_that_was_changed_since(space: Space) -> None:
    space.repository("p", PIPELINE)
    space.flowrun("run", "p", *LOCAL)
    changed = artifact(space, "sorted.txt")
    changed.chmod(0o600)
    changed.write_text("another\n")
    refused = space.flowrun("export", "latest", "--format", "slsa", "-o", "s.json", code=2)
    assert "output 'table' of step 'prepare' is not what the run has made" in refused.err
    assert not (space.path / "s.json").exists()


def test_nothing_is_stated_of_an_output_that_is_gone(space: Space) -> None:
    space.repository("p", PIPELINE)
    space.flowrun("run", "p", *LOCAL)
    artifact(space, "sorted.txt").unlink()
    refused = space.flowrun("export", "latest", "--format", "slsa", code=2)
    assert "output 'table' of step 'prepare' is gone" in refused.err


def test_a_run_without_outputs_has_no_provenance(space: Space) -> None:
    space.repository("p", ONE_STEP)
    space.flowrun("run", "p", *LOCAL)
    refused = space.flowrun("export", "latest", "--format", "slsa", code=2)
    assert "has no outputs, so there is nothing to say where it comes from" in refused.err


@pytest.mark.parametrize("words", [("--format", "json"), ("--format", "slsa")], ids=" ".join)
def test_no_secret_of_the_run_is_in_it(space: Space, words: tuple[str, str]) -> None:
    text = PIPELINE["MLproject"].replace(
        "    metrics: m.json\n", "    metrics: m.json\n    secrets: [API_TOKEN]\n"
    )
    text = text.replace("cp m.json out.json", "cp m.json out.json && echo $API_TOKEN")
    space.repository("p", {**PIPELINE, "MLproject": text})
    space.flowrun("run", "p", *LOCAL, API_TOKEN="s3cr3t-s3cr3t")
    told = space.flowrun("export", "latest", *words)
    assert "API_TOKEN" in json.dumps(told.out) or words[1] == "slsa"
    assert "s3cr3t-s3cr3t" not in told.out


MLMODEL = "flavors:\n  python_function: {loader_module: x}\n"
