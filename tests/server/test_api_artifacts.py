from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.support.serving import TOKEN, Served, serving
from tests.support.waiting import until

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture(scope="module", autouse=True)
def secret(server: Served) -> Path:
    """A file beside the artifacts that no request may reach."""
    path = server.artifacts.parent / "secret.txt"
    path.write_text("secret")
    return path


def put(server: Served, path: str, content: bytes) -> None:
    answer = server.call("PUT", f"{PROXY}/{quote(path)}", content)
    assert (answer.status, answer.json) == (200, {})


def test_what_was_put_is_given_back_as_a_download(server: Served) -> None:
    content = os.urandom(3_000_000)
    put(server, "9/run/artifacts/deep/ä b%41.bin", content)
    answer = server.call("GET", f"{PROXY}/{quote('9/run/artifacts/deep/ä b%41.bin')}")
    assert answer.body == content
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"_ b%41.bin\"; filename*=UTF-8''%C3%A4%20b%2541.bin"
    )
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(content))


def test_a_page_is_not_shown_as_a_page(server: Served) -> None:
    put(server, "9/page.html", b"<script>alert(1)</script>")
    answer = server.call("GET", f"{PROXY}/9/page.html")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_folder_is_listed_by_names(server: Served) -> None:
    put(server, "10/a.txt", b"alpha")
    put(server, "10/empty", b"")
    put(server, "10/deep/b.txt", b"b")
    listed = server.call("GET", f"{PROXY}?path=10").json["files"]
    assert {item["path"]: (item["is_dir"], item.get("file_size")) for item in listed} == {
        "a.txt": (False, 5),
        "deep": (True, None),
        "empty": (False, 0),
    }
    assert server.call("GET", f"{PROXY}?path=nowhere").json == {}


def test_a_deleted_file_is_gone(server: Served) -> None:
    put(server, "11/a.txt", b"a")
    assert server.call("DELETE", f"{PROXY}/11/a.txt").json == {}
    answer = server.call("GET", f"{PROXY}/11/a.txt")
    assert (answer.status, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


RANGES: dict[str, tuple[str, int, bytes, str | None]] = {
    "first bytes": ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    "from the middle": ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    "beyond the end": ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
    "last bytes": ("bytes=-2", 206, b"89", "bytes 8-9/10"),
    "more than all of the last": ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    "none there": ("bytes=10-", 416, b"", "bytes */10"),
    "backwards": ("bytes=5-2", 200, b"0123456789", None),
    "several": ("bytes=0-1,4-5", 200, b"0123456789", None),
    "no numbers": ("bytes=-", 200, b"0123456789", None),
    "another unit": ("lines=1-2", 200, b"0123456789", None),
}


@pytest.mark.parametrize(("header", "status", "body", "span"), RANGES.values(), ids=RANGES)
def test_a_part_of_a_file_can_be_asked_for(
    server: Served, header: str, status: int, body: bytes, span: str | None
) -> None:
    put(server, "12/digits", b"0123456789")
    answer = server.call("GET", f"{PROXY}/12/digits", headers={"Range": header})
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("content-range") == span


def test_head_says_how_long_a_file_is(server: Served) -> None:
    put(server, "13/digits", b"0123456789")
    answer = server.call("HEAD", f"{PROXY}/13/digits")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "10", b"")


CLIMBING = (
    "../secret.txt",
    "a/../../secret.txt",
    "%2e%2e/secret.txt",
    "%252e%252e/secret.txt",
    "%25252e%25252e%25252fsecret.txt",
    "..%2fsecret.txt",
    "..%5csecret.txt",
    "..\\secret.txt",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd%00",
    "a%00b",
    "a%0ab",
    "a%3fb",
    "a%23b",
    "./a",
    "a//b",
)


@pytest.mark.parametrize("path", CLIMBING)
def test_no_path_leads_out_of_the_artifacts(server: Served, path: str, secret: Path) -> None:
    run_id = server.new_run()
    proxied = f"{PROXY}/{path}"
    answers = [
        server.call("GET", proxied),
        server.call("PUT", proxied, b"overwritten"),
        server.call("DELETE", proxied),
        server.call("GET", f"{PROXY}?path={path}"),
        server.call("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run_id}&path={path}"),
        server.call("GET", f"/get-artifact?run_id={run_id}&path={path}"),
        server.call(
            "POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path={path}", b"x"
        ),
    ]
    assert [answer.status for answer in answers] == [400] * len(answers)
    assert {answer.json["error_code"] for answer in answers} == {"INVALID_PARAMETER_VALUE"}
    assert secret.read_text() == "secret"


def test_a_link_out_of_the_artifacts_is_not_followed(server: Served, secret: Path) -> None:
    (server.artifacts / "14").mkdir()
    (server.artifacts / "14" / "link").symlink_to(secret)
    (server.artifacts / "14" / "up").symlink_to(secret.parent)
    for path in ("14/link", "14/up/secret.txt"):
        assert server.call("GET", f"{PROXY}/{path}").status in {400, 404}
        assert server.call("PUT", f"{PROXY}/{path}", b"overwritten").status in {200, 400}
    assert secret.read_text() == "secret"


def test_the_artifacts_of_a_run_are_listed_and_read(server: Served) -> None:
    run_id = server.new_run()
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=in/a.txt"
    assert server.call("POST", upload, b"alpha").json == {}
    root = f"mlflow-artifacts:/0/{run_id}/artifacts"
    assert server.get("artifacts/list", run_id=run_id).json == {
        "root_uri": root,
        "files": [{"path": "in", "is_dir": True}],
    }
    assert server.get("artifacts/list", run_id=run_id, path="in").json == {
        "root_uri": root,
        "files": [{"path": "in/a.txt", "is_dir": False, "file_size": 5}],
    }
    assert server.call("GET", f"/get-artifact?run_id={run_id}&path=in/a.txt").body == b"alpha"


def test_the_files_of_a_model_and_of_its_version_are_read(server: Served) -> None:
    made = server.post("logged-models", {"experiment_id": "0", "name": "m"}).json["model"]["info"]
    model_id = made["model_id"]
    put(server, f"0/models/{model_id}/artifacts/MLmodel", b"flavors: {}")
    listed = server.get(f"logged-models/{model_id}/artifacts/directories").json
    assert listed["files"] == [{"path": "MLmodel", "is_dir": False, "file_size": 11}]
    files = f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
    answer = server.call("GET", f"{files}?artifact_file_path=MLmodel")
    assert (answer.body, answer.headers["content-type"]) == (b"flavors: {}", "text/plain")
    server.post("registered-models/create", {"name": "wine"})
    server.post("model-versions/create", {"name": "wine", "source": f"models:/{model_id}"})
    version = "/model-versions/get-artifact?name=wine&version=1&path=MLmodel"
    assert server.call("GET", version).body == b"flavors: {}"


def test_the_server_reads_nothing_outside_its_own_artifacts(server: Served, secret: Path) -> None:
    """A caller may say where artifacts lie, but not have the server fetch them from there."""
    location = secret.parent.as_uri()
    experiment = server.post("experiments/create", {"name": "out", "artifact_location": location})
    run_id = server.new_run(experiment_id=experiment.json["experiment_id"])
    root = secret.parent / run_id / "artifacts"
    root.mkdir(parents=True)
    (root / "a.txt").write_text("a")
    answer = server.call("GET", f"/get-artifact?run_id={run_id}&path=a.txt")
    assert (answer.status, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert answer.json["message"] == (
        f"The server does not read artifacts at '{root.as_uri()}', outside its own.\n"
        "Read them from there directly, with MLflow's client."
    )
    assert server.get("artifacts/list", run_id=run_id).status == 403


def test_artifacts_below_the_servers_own_folder_are_read_by_path_too(server: Served) -> None:
    location = str(server.artifacts / "by-path")
    experiment = server.post("experiments/create", {"name": "in", "artifact_location": location})
    run_id = server.new_run(experiment_id=experiment.json["experiment_id"])
    root = server.artifacts / "by-path" / run_id / "artifacts"
    root.mkdir(parents=True)
    (root / "a.txt").write_text("a")
    assert server.call("GET", f"/get-artifact?run_id={run_id}&path=a.txt").body == b"a"


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket/a?x=1",
        "s3://bucket/a#b",
        "s3://bucket/../other",
        "s3://bucket/%2e%2e/other",
        "s3://me:pw@bucket/a",
        "file://host/a",
        "C:\\a",
    ],
)
def test_an_experiments_location_that_hides_something_is_refused(
    server: Served, location: str
) -> None:
    answer = server.post("experiments/create", {"name": "x", "artifact_location": location})
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_an_upload_that_breaks_off_leaves_nothing(server: Served) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.putrequest("PUT", f"{PROXY}/15/broken.bin")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders(b"x" * 500_000)
    folder = server.artifacts / "15"
    until(folder.exists, what="the upload's begin")
    connection.close()
    until(lambda: not any(path.is_file() for path in folder.rglob("*")), what="the clean-up")
    assert server.call("GET", f"{PROXY}/15/broken.bin").status == 404


@pytest.mark.slow
def test_a_large_file_passes_in_constant_memory(tmp_path: Path) -> None:
    """A process of its own would be cleaner, but its server shares this one: peaks are compared."""
    chunk = os.urandom(2**20)
    count = 200
    with serving(tmp_path) as server:
        put(server, "warm", b"up")
        before = peak_kib()
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Length": str(count * len(chunk))}
        connection.request("PUT", f"{PROXY}/large", (chunk for _ in range(count)), headers)
        assert json.loads(connection.getresponse().read()) == {}
        connection.request("GET", f"{PROXY}/large", headers={"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        for _ in range(count):
            assert response.read(len(chunk)) == chunk
        connection.close()
        assert peak_kib() - before < 40 * 1024


def peak_kib() -> int:
    """Give the most memory that this process has used."""
    with Path("/proc/self/status").open() as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
