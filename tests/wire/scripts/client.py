"""MlflowClient's calls for experiments, runs and the registry, one by one."""

import os
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()


def fails(code: str, call: object, *args: object, **kwargs: object) -> str:
    try:
        call(*args, **kwargs)  # type: ignore[operator]
    except MlflowException as error:
        assert error.error_code == code, (error.error_code, error.message)
        return str(error.message)
    raise AssertionError(f"no {code}")


def experiments() -> None:
    name = "client experiments"
    experiment_id = client.create_experiment(name, tags={"team": "wine"})
    assert client.get_experiment(experiment_id).tags == {"team": "wine"}
    client.set_experiment_tag(experiment_id, "stage", "one")
    client.delete_experiment_tag(experiment_id, "team")
    assert client.get_experiment(experiment_id).tags == {"stage": "one"}
    client.rename_experiment(experiment_id, "renamed")
    found = client.get_experiment_by_name("renamed")
    assert found is not None
    assert found.experiment_id == experiment_id
    assert client.get_experiment_by_name(name) is None
    client.delete_experiment(experiment_id)
    deleted = client.search_experiments(view_type=ViewType.DELETED_ONLY)
    assert [item.name for item in deleted] == ["renamed"]
    client.restore_experiment(experiment_id)
    active = client.search_experiments(filter_string="tags.stage = 'one'")
    assert [item.experiment_id for item in active] == [experiment_id]
    names = [item.name for item in client.search_experiments(order_by=["name ASC"])]
    assert names == sorted(names)
    fails("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "999999")
    fails("INVALID_PARAMETER_VALUE", client.search_experiments, filter_string="nonsense !!")


def runs() -> None:
    run = client.create_run("0", run_name="first", tags={"a": "1"})
    run_id = run.info.run_id
    assert run.info.run_name == "first"
    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric("loss", 1 / (n + 1), now + n, n) for n in range(1000)],
        params=[Param("p", "1")],
        tags=[RunTag("b", "2")],
    )
    client.log_metric(run_id, "loss", 7.0, step=2000)
    client.log_param(run_id, "q", "x")
    client.set_tag(run_id, "c", "3")
    client.delete_tag(run_id, "a")
    client.update_run(run_id, status="SCHEDULED", name="second")
    client.set_terminated(run_id, "KILLED")
    read = client.get_run(run_id)
    assert (read.info.status, read.info.run_name) == ("KILLED", "second")
    assert read.info.end_time >= read.info.start_time
    assert read.data.metrics == {"loss": 7.0}
    assert read.data.params == {"p": "1", "q": "x"}
    assert {key: read.data.tags[key] for key in "bc"} == {"b": "2", "c": "3"}
    assert "a" not in read.data.tags
    assert len(client.get_metric_history(run_id, "loss")) == 1001
    message = fails("INVALID_PARAMETER_VALUE", client.log_param, run_id, "q", "y")
    assert "Changing param values is not allowed" in message, message
    message = fails("INVALID_PARAMETER_VALUE", client.log_metric, run_id, "a//b", 1.0)
    fails("RESOURCE_DOES_NOT_EXIST", client.delete_tag, run_id, "nothing")
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    message = fails("INVALID_PARAMETER_VALUE", client.log_metric, run_id, "loss", 1.0)
    assert "must be in the 'active' state" in message, message
    client.restore_run(run_id)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "f.txt").write_text("x")
        client.log_artifact(run_id, f"{folder}/f.txt", "in/here")
        client.log_artifacts(run_id, folder)
        local = client.download_artifacts(run_id, "in", folder)
        assert (Path(local) / "here" / "f.txt").read_text() == "x"
    client.log_text(run_id, "t", "t.txt")
    client.log_dict(run_id, {}, "d.json")


def registry() -> None:
    model = client.create_registered_model("m", tags={"a": "1"}, description="first")
    assert (model.name, model.description, model.tags) == ("m", "first", {"a": "1"})
    fails("RESOURCE_ALREADY_EXISTS", client.create_registered_model, "m")
    client.update_registered_model("m", "second")
    client.rename_registered_model("m", "n")
    client.set_registered_model_tag("n", "b", "2")
    client.delete_registered_model_tag("n", "a")
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "x", "model/MLmodel")
    uri = client.get_run(run_id).info.artifact_uri
    for _ in range(3):
        client.create_model_version("n", f"{uri}/model", run_id=run_id, tags={"k": "v"})
    client.update_model_version("n", "1", "the first")
    client.set_model_version_tag("n", "1", "q", "good")
    client.delete_model_version_tag("n", "1", "k")
    version = client.get_model_version("n", "1")
    assert (version.description, version.tags, version.run_id) == (
        "the first",
        {"q": "good"},
        run_id,
    )
    assert client.get_model_version_download_uri("n", "1") == f"{uri}/model"
    client.set_registered_model_alias("n", "best", "2")
    assert client.get_model_version_by_alias("n", "best").version in ("2", 2)
    client.transition_model_version_stage("n", "1", "Production")
    client.transition_model_version_stage("n", "3", "production", archive_existing_versions=True)
    stages = {v.version: v.current_stage for v in client.search_model_versions("name = 'n'")}
    assert {int(k): v for k, v in stages.items()} == {1: "Archived", 2: "None", 3: "Production"}
    latest = client.get_latest_versions("n", ["Production"])
    assert [int(v.version) for v in latest] == [3]
    fails("INVALID_PARAMETER_VALUE", client.transition_model_version_stage, "n", "1", "Live")
    client.delete_model_version("n", "2")
    assert client.get_registered_model("n").aliases == {}
    client.set_registered_model_alias("n", "gone", "1")
    client.delete_registered_model_alias("n", "gone")
    fails("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, "n", "gone")
    names = [m.name for m in client.search_registered_models("name LIKE 'n%'")]
    assert names == ["n"], names
    for source, reason in {
        "/etc": "a path of the server's machine",
        "file:///etc/passwd": "the same as a URI",
        f"{uri}/../../other": "climbs",
        f"{uri}/%2e%2e/other": "climbs in disguise",
        "file://host/etc": "another host",
        "mlflow-artifacts:/0/other/artifacts": "of another run",
        "mlflow-artifacts:/0/a?x=1": "a query",
    }.items():
        fails("INVALID_PARAMETER_VALUE", client.create_model_version, "n", source, run_id), reason
    client.delete_registered_model("n")
    fails("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "n")


def prompts() -> None:
    """Prompts are registered models to the server; only their texts are in tags."""
    mlflow.genai.register_prompt("greet", "Hello {{name}}")
    assert mlflow.genai.load_prompt("prompts:/greet/1").template == "Hello {{name}}"
    assert [m.name for m in client.search_registered_models()] == []


def what_is_not_offered_is_said_at_once() -> None:
    started = time.monotonic()
    fails("NOT_IMPLEMENTED", mlflow.genai.create_dataset, name="d")
    assert time.monotonic() - started < 5


os.environ["MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING"] = "false"
experiments()
runs()
registry()
prompts()
what_is_not_offered_is_said_at_once()
print("all good")
