"""What goes wrong on the way to a server: what is repeated, what is told, and in which words."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flowrun.errors import FlowrunError, PermissionDeniedError, StoreError
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.artifacts import RestArtifacts
from flowrun.tracking.rest.server import Server
from flowrun.tracking.rest.store import RestTrackingStore
from tests.support.odd_server import DROPPED, OddServer, Reply, odd_server
from tests.support.serving import serving

QUICK = {"FLOWRUN_SERVER_PATIENCE_S": "1"}
RUN = json.dumps({"run": {"info": {"run_id": "r1", "experiment_id": "0"}}})
GONE = Reply(503, "<html>busy</html>")


@contextmanager
def store_at(url: str, **variables: str) -> Iterator[RestTrackingStore]:
    store = RestTrackingStore(Server(server_address(url, {**QUICK, **variables})), now=lambda: 1)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def store_behind(
    replies: Sequence[Reply], **variables: str
) -> Iterator[tuple[OddServer, RestTrackingStore]]:
    with odd_server(replies) as server, store_at(server.url, **variables) as store:
        yield server, store


@contextmanager
def artifacts_behind(replies: Sequence[Reply]) -> Iterator[tuple[OddServer, RestArtifacts]]:
    with odd_server(replies) as odd:
        server = Server(server_address(odd.url, {}))
        yield odd, RestArtifacts(server, "r")
        server.close()


def refusal(call: Callable[[], object]) -> FlowrunError:
    with pytest.raises(FlowrunError) as error:
        call()
    return error.value


ODD = {
    "page not found": (
        Reply(404, "<html>Not Found</html>"),
        StoreError,
        "there is no MLflow server at {url}: it answered 404 for GET runs/get\n"
        "Look whether the tracking URI's host, port and path prefix are right.",
    ),
    "another program's 404": (
        Reply(404, '{"detail":"Not Found"}'),
        StoreError,
        "there is no MLflow server at {url}: it answered 404 for GET runs/get\n"
        "Look whether the tracking URI's host, port and path prefix are right.",
    ),
    "a page": (
        Reply(200, "<html>\n<h1>Welcome\x07</h1>"),
        StoreError,
        "{url} answered GET runs/get with something that is not MLflow's protocol: is it the "
        "address of a tracking server? It said: '<html> <h1>Welcome?</h1>'",
    ),
    "another program's JSON": (
        Reply(200, '{"hello": "world"}'),
        StoreError,
        "{url} answered GET runs/get with something that is not MLflow's protocol: Missing value "
        "for required parameter 'run.info.run_id'. See the API docs for more information about "
        "request parameters.",
    ),
    "a login": (
        Reply(401, "You are not authenticated."),
        PermissionDeniedError,
        "{url} asks for a login (GET runs/get): 'You are not authenticated.'\n"
        "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
        "to what the server lets in.",
    ),
    "not for this user": (
        Reply(403, "Permission denied"),
        PermissionDeniedError,
        "{url} does not allow this (GET runs/get): 'Permission denied'\n"
        "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
        "to what the server lets in.",
    ),
    "moved": (
        Reply(308, "", {"Location": "https://elsewhere/"}),
        StoreError,
        "{url} has moved to https://elsewhere/\nGive that as the tracking URI.",
    ),
    "a bug of the server's": (
        Reply(500, '{"error_code": "INTERNAL_ERROR", "message": "boom"}'),
        StoreError,
        "the tracking server at {url} failed on GET runs/get: boom",
    ),
    "nothing that can be read": (
        Reply(500, "oops"),
        StoreError,
        "{url} answered 500 for GET runs/get: 'oops'",
    ),
}


@pytest.mark.parametrize(("reply", "kind", "message"), ODD.values(), ids=ODD)
def test_an_odd_answer_is_told_and_not_asked_for_again(
    reply: Reply, kind: type[FlowrunError], message: str
) -> None:
    with store_behind([reply]) as (server, store):
        error = refusal(lambda: store.get_run("r1"))
        assert isinstance(error, kind)
        assert str(error) == message.format(url=server.url)
        assert server.asked == ["GET /api/2.0/mlflow/runs/get?run_id=r1"]


def test_a_wrong_token_is_told(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        with store_at(served.url, MLFLOW_TRACKING_TOKEN="wrong") as store:
            error = refusal(lambda: store.get_experiment("0"))
        assert isinstance(error, PermissionDeniedError)
        assert error.message == f"{served.url}: The token is not the one of this server."


def test_an_address_where_nobody_is_is_not_waited_for() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with store_at(url, FLOWRUN_SERVER_PATIENCE_S="600") as store:
            error = refusal(lambda: store.get_run("r1"))
    assert str(error) == f"the tracking server at {url} can't be reached: Connection refused"


def test_https_where_http_is_spoken_is_told() -> None:
    with odd_server([Reply()]) as server:
        url = server.url.replace("http:", "https:")
        with store_at(url) as store:
            error = refusal(lambda: store.get_run("r1"))
    assert error.message.startswith(f"{url} does not speak TLS as it should: ")
    assert error.hint == "Is it a server for http:// instead of https://?"


@pytest.mark.parametrize(
    "missed",
    {
        "busy": Reply(503),
        "too many": Reply(429),
        "busy, later": Reply(503, headers={"Retry-After": "0"}),
        "proxy without answer": Reply(502),
        "proxy without patience": Reply(504),
        "broken": DROPPED,
        "broken in the middle": Reply(200, RUN, cut_bytes=10),
    }.values(),
)
def test_what_can_be_repeated_is_repeated(missed: Reply) -> None:
    with store_behind([Reply(200, RUN), missed, missed, Reply(200, RUN)]) as (server, store):
        store.get_run("r1")
        assert store.get_run("r1").info.run_id == "r1"
        assert len(server.asked) == 4


@pytest.mark.parametrize("missed", [DROPPED, Reply(502), Reply(504)])
def test_what_may_have_been_done_is_not_done_twice(missed: Reply) -> None:
    with store_behind([Reply(200, RUN), missed, Reply(200, RUN)]) as (server, store):
        store.get_run("r1")
        error = refusal(lambda: store.create_run("0"))
        assert "went away during POST runs/create" in error.message
        assert error.message.endswith("whether it did that is not known, so it is not asked again")
        assert len(server.asked) == 2


def test_what_was_not_begun_is_asked_again() -> None:
    with store_behind([Reply(503), Reply(200, RUN)]) as (server, store):
        assert store.create_run("0").info.run_id == "r1"
        assert len(server.asked) == 2


def test_a_server_that_stays_away_is_waited_for_once() -> None:
    with store_behind([Reply(200, RUN), GONE]) as (server, store):
        store.get_run("r1")
        error = refusal(lambda: store.get_run("r1"))
        assert str(error) == (
            f"the tracking server at {server.url} can't be reached, for 1 s: it answered 503"
        )
        tried = len(server.asked)
        assert tried > 3
        refusal(lambda: store.get_run("r1"))
        assert len(server.asked) == tried + 1


def test_a_server_that_wants_a_longer_pause_is_not_waited_for() -> None:
    with store_behind([Reply(429, headers={"Retry-After": "3600"})]) as (server, store):
        assert "it answered 429" in str(refusal(lambda: store.get_run("r1")))
        assert len(server.asked) == 1


def test_credentials_and_prefix_go_with_each_call() -> None:
    with odd_server([Reply(200, RUN)]) as server:
        url = server.url.replace("//", "//me:s%40crt@") + "/team/"
        with store_at(url) as store:
            store.get_run("r1")
    assert server.asked == ["GET /team/api/2.0/mlflow/runs/get?run_id=r1"]
    assert server.headers[0]["Authorization"] == "Basic bWU6c0BjcnQ="


def test_a_proxy_is_asked_for_other_hosts_only() -> None:
    with odd_server([Reply(200, RUN)]) as proxy:
        address = proxy.url.replace("//", "//who:why@")
        with store_at("http://mlflow.example.org/x", HTTP_PROXY=address) as store:
            store.get_run("r1")
    assert proxy.asked == ["GET http://mlflow.example.org/x/api/2.0/mlflow/runs/get?run_id=r1"]
    assert proxy.headers[0]["Proxy-Authorization"] == "Basic d2hvOndoeQ=="
    with store_behind([Reply(200, RUN)], HTTP_PROXY="http://127.0.0.1:9") as (server, store):
        store.get_run("r1")
        assert len(server.asked) == 1


def test_one_connection_serves_call_after_call(tmp_path: Path) -> None:
    with serving(tmp_path, token=None) as served, store_at(served.url) as store:
        server = store._server
        store.get_experiment("0")
        (first,) = [kept for kept, _ in server._connections._idle]
        refusal(lambda: store.get_experiment("99"))
        store.search_runs(["0"])
        assert [kept for kept, _ in server._connections._idle] == [first]


def test_threads_have_connections_of_their_own(tmp_path: Path) -> None:
    with serving(tmp_path, token=None) as served, store_at(served.url) as store:
        errors: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(20):
                    store.get_experiment("0")
            except FlowrunError as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []


def test_a_file_that_breaks_off_is_fetched_again(tmp_path: Path) -> None:
    nothing, whole = Reply(200, "{}"), Reply(200, "0123456789")
    broken = Reply(200, "0123456789", cut_bytes=4)
    with artifacts_behind([nothing, broken, whole]) as (_, artifacts):
        artifacts.get("a", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "0123456789"


def test_a_file_that_always_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with artifacts_behind([Reply(200, "{}"), Reply(200, "0123456789", cut_bytes=4)]) as (
        server,
        artifacts,
    ):
        error = refusal(lambda: artifacts.get("a", tmp_path / "a"))
    assert str(error) == f"{server.url}: 'a' broke off after 4 of 10 bytes"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_stored_again_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    with artifacts_behind([GONE, Reply()]) as (server, artifacts):
        artifacts.put_file(tmp_path / "file", "a b")
    assert server.asked == ["PUT /api/2.0/mlflow-artifacts/artifacts/r/a%20b"] * 2
    assert {headers["Content-Length"] for headers in server.headers} == {"100000"}


def test_a_name_that_leads_elsewhere_is_not_believed(tmp_path: Path) -> None:
    listing = json.dumps({"files": [{"path": "../../evil", "file_size": 1}]})
    with artifacts_behind([Reply(200, listing)]) as (_, artifacts):
        assert "climbs" in str(refusal(lambda: artifacts.get("a", tmp_path / "a")))
    assert list(tmp_path.iterdir()) == []
