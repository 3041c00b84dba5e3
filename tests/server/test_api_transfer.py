"""Direct transfers where the storage has none, and what is refused before it is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.serving import Served, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


# MLflow's client looks for the first words, and then sends the file through the server.
UNSUPPORTED = {
    "mpu/create/0/run": ("POST", "Multipart upload is not supported"),
    "mpu/create": ("POST", "Multipart upload is not supported"),
    "mpu/complete/0/run": ("POST", "Multipart upload is not supported"),
    "mpu/abort/0/run": ("POST", "Multipart upload is not supported"),
    "presigned/0/run/a": ("GET", "Presigned download is not supported"),
}


@pytest.mark.parametrize(
    ("path", "method", "words"),
    [(path, *rest) for path, rest in UNSUPPORTED.items()],
    ids=UNSUPPORTED,
)
def test_a_directory_has_no_direct_transfer(
    server: Served, path: str, method: str, words: str
) -> None:
    body = None if method == "GET" else b'{"path": "a", "num_parts": 1, "upload_id": "x"}'
    kind = {"Content-Type": "application/json"} if body else {}
    answer = server.call(method, f"/api/2.0/mlflow-artifacts/{path}", body, kind)
    assert answer.status == 501
    assert answer.json == {
        "error_code": "NOT_IMPLEMENTED",
        "message": f"{words} for the current artifact repository",
    }


def test_a_client_is_told_beforehand(server: Served) -> None:
    info = server.call("GET", "/api/3.0/mlflow/server-info").json
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False,) * 2


REFUSED = {
    "a proxied root": (
        "download",
        {"run_id": "RUN", "path": "a"},
        "Presigned download is not supported for proxied artifact storage "
        "(artifact URI scheme: mlflow-artifacts).",
    ),
    "a run and a model": (
        "upload",
        {"run_id": "RUN", "model_id": "m-1", "path": "a"},
        "Exactly one of run_id and model_id must be provided.",
    ),
    "too long": (
        "download",
        {"run_id": "RUN", "path": "a", "expiration": 604_801},
        "expiration must be between 1 and 604800 seconds (got 604801).",
    ),
    "no path": (
        "upload",
        {"run_id": "RUN"},
        "Missing value for required parameter 'path'. See the API docs for more information about "
        "request parameters.",
    ),
}


@pytest.mark.parametrize(("way", "body", "message"), REFUSED.values(), ids=REFUSED)
def test_a_signed_url_is_refused_in_words(
    server: Served, way: str, body: dict[str, object], message: str
) -> None:
    sent = {**body, "run_id": server.new_run()}
    answer = server.post(f"artifacts/presigned-{way}-url", sent)
    assert (answer.status, answer.json["message"]) == (400, message)
