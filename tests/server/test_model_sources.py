from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import Served, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        served.post("registered-models/create", {"name": "wine"})
        yield served


def new_model(server: Served, run_id: str | None = None) -> str:
    model = server.tracking.create_logged_model("0", name="m", source_run_id=run_id)
    return model.model_id


def register(server: Served, source: str, **fields: object) -> tuple[int, str]:
    body = {"name": "wine", "source": source, **fields}
    answer = server.post("model-versions/create", body)
    return answer.status, answer.json.get("message", "")


def test_a_logged_model_becomes_a_version_that_both_know(server: Served) -> None:
    run_id = server.new_run()
    model_id = new_model(server, run_id)
    assert register(server, f"models:/{model_id}", model_id=model_id) == (200, "")
    version = server.registry.get_model_version("wine", "1")
    assert (version.model_id, version.run_id) == (model_id, run_id)
    assert version.download_uri == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    tags = server.tracking.get_logged_model(model_id).tags
    assert tags["mlflow.modelVersions"] == '[{"name": "wine", "version": 1}]'
    uri = server.get("model-versions/get-download-uri", name="wine", version="1").json
    assert uri == {"artifact_uri": version.download_uri}


def test_a_source_within_what_the_request_names_is_taken(server: Served) -> None:
    run_id = server.new_run()
    model_id = new_model(server)
    root = f"mlflow-artifacts:/0/{run_id}/artifacts"
    assert register(server, f"{root}/model", run_id=run_id)[0] == 200
    assert register(server, f"runs:/{run_id}/model")[0] == 200
    assert register(server, f"runs:/{run_id}/model", run_id=run_id)[0] == 200
    models = f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    assert register(server, models, model_id=model_id)[0] == 200
    assert register(server, "s3://bucket/model")[0] == 200


def test_a_version_may_be_made_of_another(server: Served) -> None:
    run_id = server.new_run()
    register(server, f"runs:/{run_id}/model")
    server.registry.set_alias("wine", "best", "1")
    server.post(
        "model-versions/transition-stage", {"name": "wine", "version": "1", "stage": "staging"}
    )
    for source in ("models:/wine/1", "models:/wine@best", "models:/wine/Staging"):
        assert register(server, source, run_id=run_id)[0] == 200
    assert server.registry.get_model_version("wine", "4").run_id == run_id
    assert register(server, "models:/wine/1", run_id=server.new_run())[0] == 400
    assert register(server, "models:/wine/99")[0] == 404
    assert register(server, "models:/wine/Production") == (
        404,
        "Registered Model 'wine' has no version in stage 'Production'.",
    )


def test_a_source_of_something_else_is_refused(server: Served, tmp_path: Path) -> None:
    run_id, other = server.new_run(), server.new_run()
    model_id = new_model(server)
    own = f"mlflow-artifacts:/0/{run_id}/artifacts"
    for source, named in (
        (f"mlflow-artifacts:/0/{other}/artifacts/m", {"run_id": run_id}),
        (f"mlflow-artifacts:/0/{run_id}/artifacts-of-another", {"run_id": run_id}),
        (f"{own}/m", {}),
        (f"{own}/m", {"run_id": "0" * 32}),
        (f"runs:/{other}/m", {"run_id": run_id}),
        (f"runs:/{run_id}/m", {"run_id": run_id, "model_id": model_id}),
        (f"models:/{model_id}", {"model_id": "m-" + "0" * 32}),
        ("/etc", {"run_id": run_id}),
        ("file:///etc/passwd", {}),
        (str(tmp_path), {"run_id": run_id}),
    ):
        assert register(server, source, **named) == (
            400,
            f"Invalid model version source: '{source}'. The run_id or model_id of the request "
            "must identify the resource that contains the source.",
        )


def test_a_local_source_must_really_lie_in_the_runs_folder(server: Served, tmp_path: Path) -> None:
    place = tmp_path / "local"
    experiment_id = server.tracking.create_experiment("local", artifact_location=str(place))
    run_id = server.new_run(experiment_id=experiment_id)
    root = place / run_id / "artifacts"
    (root / "model").mkdir(parents=True)
    (root / "link").symlink_to("/etc")
    assert register(server, str(root / "model"), run_id=run_id)[0] == 200
    assert register(server, (root / "model").as_uri(), run_id=run_id)[0] == 200
    assert register(server, str(root / "link"), run_id=run_id)[0] == 400


@pytest.mark.parametrize(
    "ending", ["/../../other", "/%2e%2e/other", "/%252e%252e/other", "?x=1", "#a", "\\..\\other"]
)
def test_a_source_that_hides_something_is_refused(server: Served, ending: str) -> None:
    run_id = server.new_run()
    source = f"mlflow-artifacts:/0/{run_id}/artifacts{ending}"
    status, message = register(server, source, run_id=run_id)
    assert status == 400
    assert message.startswith(f"Invalid path '{source}': it ")


def test_a_prompts_source_is_only_a_text(server: Served) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    server.post("registered-models/create", {"name": "greet", "tags": tags})
    body = {"name": "greet", "source": "prompt-template", "tags": tags}
    assert server.post("model-versions/create", body).status == 200


def test_who_moved_a_version_is_the_user_of_the_password(server: Served) -> None:
    register(server, "s3://bucket/model")
    token = {"Authorization": "Basic YWRhOnNlY3JldC10b2tlbg==", "Content-Type": "application/json"}
    body = b'{"name": "wine", "version": "1", "stage": "Production"}'
    server.call("POST", "/api/2.0/mlflow/model-versions/transition-stage", body, token)
    (line,) = server.registry.get_history("wine")
    assert (line.user_id, line.after) == ("ada", "Production")
