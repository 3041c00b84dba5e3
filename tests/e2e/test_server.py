"""`flowrun server`, from its flags to its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.commanded import RunningServer, running_server
from tests.support.space import Space
from tests.support.waiting import until

REFUSED = {
    "a flag of MLflow's that makes no sense here": (
        ["--app-name=basic-auth"],
        "flowrun: flowrun server does not take MLflow's --app-name.\n"
        "This server asks for a token; it has no users and permissions yet.\n",
    ),
    "a flag that nobody knows": (
        ["--fast"],
        "flowrun: flowrun server has no '--fast'.\n"
        "See `flowrun server --help` for what it takes.\n",
    ),
    "a registry elsewhere": (
        ["--registry-store-uri", "sqlite:////elsewhere.db"],
        "flowrun: flowrun keeps its registry in the store of the runs.\n"
        "Leave --registry-store-uri out.\n",
    ),
    "any origin at all": (
        ["--cors-allowed-origins", "*"],
        "flowrun: --cors-allowed-origins: '*' is no origin\n"
        "Name each one in full: https://pages.example.com. Whoever may call can change all.\n",
    ),
    "a prefix that is none": (
        ["--static-prefix", "mlflow"],
        "flowrun: --static-prefix 'mlflow' must begin with a slash and not end with one\n"
        "Such as /mlflow.\n",
    ),
    "nothing to serve": (
        ["--artifacts-only", "--no-serve-artifacts"],
        "flowrun: --artifacts-only with --no-serve-artifacts would serve nothing\n",
    ),
    "an unknown storage": (
        ["--artifacts-destination", "ftp://host/a"],
        "flowrun: artifacts can't be kept at 'ftp://host/a': no storage is called ftp\n",
    ),
    "an odd frame option": (
        ["--x-frame-options", "maybe"],
        "flowrun: --x-frame-options 'maybe' is none of SAMEORIGIN, DENY and NONE\n",
    ),
}


@pytest.mark.parametrize(("flags", "told"), REFUSED.values(), ids=REFUSED)
def test_a_flag_that_cannot_be_meant_is_refused_in_words(
    space: Space, flags: list[str], told: str
) -> None:
    assert space.flowrun("server", *flags, code=2).err.startswith(told)


def test_mlflows_variables_set_flags(space: Space) -> None:
    with running_server(space, MLFLOW_STATIC_PREFIX="/team", MLFLOW_WORKERS="2") as server:
        assert server.url.endswith("/team")
        assert server.get("/team/health").body == b"OK"
        assert len(server.workers()) == 2


def test_artifacts_go_where_the_flag_says(space: Space) -> None:
    with running_server(space, "--artifacts-destination", "kept/here") as server:
        path = "/api/2.0/mlflow-artifacts/artifacts/0/a.txt"
        assert server.call("PUT", path, b"content").status == 200
    assert space.read("kept/here/0/a.txt") == "content"


def test_artifacts_lie_directly_below_a_root_of_their_own(space: Space) -> None:
    with running_server(space, "--default-artifact-root", "direct") as server:
        run_id = server.new_run()
        (run,) = server.post("runs/search", {"experiment_ids": ["0"]}).json["runs"]
        root = f"{space.path}/direct/0/{run_id}/artifacts"
        assert run["info"]["artifact_uri"] == root
        space.write({f"direct/0/{run_id}/artifacts/a.txt": "content"})
        assert server.get(f"/get-artifact?run_id={run_id}&path=a.txt").body == b"content"


def test_a_server_that_passes_no_artifacts_on_says_so(space: Space) -> None:
    with running_server(space, "--no-serve-artifacts") as server:
        answer = server.get("/api/2.0/mlflow-artifacts/artifacts?path=0")
        assert (answer.status, answer.json) == (
            501,
            {
                "error_code": "NOT_IMPLEMENTED",
                "message": "This server does not pass artifacts on: "
                "it runs with --no-serve-artifacts.",
            },
        )
        run = server.post("runs/create", {"experiment_id": "0"}).json["run"]
        assert run["info"]["artifact_uri"].startswith(f"{space.home}/artifacts/0/")


def test_a_server_for_artifacts_only_serves_no_runs(space: Space) -> None:
    with running_server(space, "--artifacts-only") as server:
        assert server.post("runs/create", {"experiment_id": "0"}).status == 501
        assert server.call("PUT", "/api/2.0/mlflow-artifacts/artifacts/a", b"x").status == 200
        assert server.get("/ajax-api/2.0/mlflow-artifacts/artifacts/a").body == b"x"
        assert server.get("/health").status == 200


def test_every_request_is_a_line_of_the_log_without_its_values(space: Space) -> None:
    with running_server(space, "--access-log", "json") as server:
        secret = {"Authorization": "Bearer hidden-token"}
        server.get("/api/2.0/mlflow/runs/get?run_id=hidden-id", secret)
        server.get("/nowhere%0Aelse")
        assert server.process.stdout is not None
        texts = [server.process.stdout.readline() for _ in range(2)]
    assert "hidden" not in "".join(texts)
    known, unknown = map(json.loads, texts)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", known.pop("time"))
    assert 0 < known.pop("duration_ms") < 5000
    assert known == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/api/2.0/mlflow/runs/get",
        "route": "/api/2.0/mlflow/runs/get",
        "status": 404,
        "bytes": known["bytes"],
        "worker": server.process.pid,
    }
    assert (unknown["path"], unknown["route"], unknown["status"]) == ("/nowhere%0Aelse", None, 404)


def test_web_pages_of_a_listed_origin_may_read_answers(space: Space) -> None:
    origin = {"Origin": "https://pages.example.org"}
    asks = {**origin, "Access-Control-Request-Method": "POST"}
    with running_server(space, "--cors-allowed-origins", "https://pages.example.org") as server:
        path = "/api/2.0/mlflow/runs/search"
        asked = server.call("OPTIONS", path, None, asks)
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == "https://pages.example.org"
        assert "POST" in asked.headers["access-control-allow-methods"]
        answer = server.get("/version", origin)
        assert answer.headers["access-control-allow-origin"] == "https://pages.example.org"
        assert "access-control-allow-origin" not in server.get("/version").headers
        foreign = {**asks, "Origin": "https://evil.example.org"}
        assert server.call("OPTIONS", path, None, foreign).status == 403


HOSTS = {
    "not named": ([], "flow.example.org", 403),
    "named": (["--allowed-hosts", "a.org, flow.example.org"], "Flow.example.org:80", 200),
    "by a pattern": (["--allowed-hosts", "*.example.org"], "flow.example.org", 200),
    "like a pattern": (["--allowed-hosts", "*.example.org"], "example.org.evil.net", 403),
    "with another port": (["--allowed-hosts", "a.org:81"], "a.org:80", 403),
    "with its port": (["--allowed-hosts", "a.org:81"], "a.org:81", 200),
    "any": (["--allowed-hosts", "*"], "whatever", 200),
}


@pytest.mark.parametrize(("flags", "host", "status"), HOSTS.values(), ids=HOSTS)
def test_a_server_answers_to_the_names_it_was_given(
    space: Space, flags: list[str], host: str, status: int
) -> None:
    with running_server(space, *flags) as server:
        answer = server.get("/health", {"Host": host})
        assert answer.status == status
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_a_server_on_all_addresses_answers_to_each_and_asks_for_the_token(space: Space) -> None:
    with running_server(space, "--host", "0.0.0.0") as server:  # noqa: S104 - what is tested
        port = urlsplit(server.url).port
        local = RunningServer(f"http://127.0.0.1:{port}", server.process)
        assert local.get("/version", {"Host": f"10.1.2.3:{port}"}).status == 401
        assert local.get("/version", {"Host": "evil.example.org"}).status == 403
        token = (space.home / "server-token").read_text().strip()
        assert local.get("/version", {"Authorization": f"Bearer {token}"}).status == 200


def test_metrics_of_all_workers_are_added_up(space: Space) -> None:
    with running_server(space, "--workers", "2", "--metrics") as server:
        run_id = server.new_run()
        for step in range(20):
            point = {"run_id": run_id, "key": "loss", "value": 1, "timestamp": 1, "step": step}
            assert server.post("runs/log-metric", point).status == 200
        text = server.get("/metrics").body.decode()
    assert (
        'flowrun_requests_total{method="POST",route="/api/2.0/mlflow/runs/log-metric",status="200"}'
        " 20\n"
    ) in text


def test_a_server_counts_nothing_unless_told(space: Space) -> None:
    with running_server(space) as server:
        assert server.get("/metrics").status == 404


def test_a_worker_that_dies_is_replaced(space: Space) -> None:
    with running_server(space, "--workers", "2", "--metrics") as server:
        until(lambda: b"flowrun_worker_starts_total 2" in server.get("/metrics").body)
        first, second = server.workers()
        os.kill(first, signal.SIGKILL)
        until(lambda: len(server.workers()) == 2 and first not in server.workers())
        assert second in server.workers()
        for _ in range(4):
            assert server.get("/health").body == b"OK"
        until(lambda: b"flowrun_worker_starts_total 3" in server.get("/metrics").body)


def test_workers_end_with_the_process_that_started_them(space: Space) -> None:
    process = space.start("server", "--port", "0", "--workers", "2")
    assert process.stdout is not None
    server = RunningServer(process.stdout.readline().split()[3], process)
    until(lambda: len(server.workers()) == 2, what="two workers")
    port = urlsplit(server.url).port
    process.kill()
    process.communicate()

    def is_refused() -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", port or 0)) != 0

    until(is_refused, what="the port to be free")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_upload_in_flight_is_finished_after_sigterm(space: Space, workers: str) -> None:
    with running_server(space, "--workers", workers) as server:
        upload = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
        upload.putrequest("PUT", "/api/2.0/mlflow-artifacts/artifacts/slow")
        upload.putheader("Content-Length", "2")
        upload.endheaders(b"O")
        # Another request on the same worker's loop would do; this one has begun when its
        # unfinished file is there.
        folder = space.home / "artifacts"
        until(lambda: any(folder.glob(".flowrun-unfinished-*")), what="the upload")
        server.process.terminate()
        finishing = threading.Thread(target=upload.send, args=(b"K",))
        finishing.start()
        assert upload.getresponse().status == 200
        finishing.join()
        upload.close()
    assert (space.home / "artifacts" / "slow").read_bytes() == b"OK"


def test_a_client_that_goes_in_mid_upload_leaves_nothing(space: Space) -> None:
    with running_server(space, "--metrics") as server:
        folder = space.home / "artifacts"
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as caller:
            caller.sendall(
                b"PUT /api/2.0/mlflow-artifacts/artifacts/half HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nonly this"
            )
            until(lambda: any(folder.glob(".flowrun-unfinished-*")), what="the upload")
        until(lambda: b'status="499"' in server.get("/metrics").body, what="the client's end")
        assert list(folder.iterdir()) == []


def test_a_server_takes_less_memory_than_promised(space: Space) -> None:
    with running_server(space) as server:
        rollup = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
        (resident_kib,) = re.findall(r"^Rss:\s+(\d+)", rollup, re.MULTILINE)
        assert int(resident_kib) < 150 * 1024
