"""`kill -9` of a server while eight clients log: what was answered is there, nothing by half."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.postgres import PostgresServer
from tests.support.space import Space
from tests.support.stores import tracking_store
from tests.support.waiting import until

pytestmark = pytest.mark.slow

CLIENTS = 8
METRICS = 20


@contextmanager
def server(space: Space, *words: str) -> Iterator[str]:
    """Run `flowrun server` and give its address; it ends by `kill -9`."""
    process = space.start("server", "--port", "0", *words)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield urlsplit(line.split()[3]).netloc
    finally:
        process.kill()
        process.communicate()


def post(connection: http.client.HTTPConnection, path: str, body: object) -> dict[str, object]:
    """Send one call and give its answer; an error if it is not 200."""
    content = json.dumps(body)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", f"/api/2.0/mlflow/{path}", content, headers)
    response = connection.getresponse()
    answer: dict[str, object] = json.loads(response.read())
    assert response.status == 200, answer
    return answer


@pytest.mark.parametrize("flags", [(), ("--durability", "full")], ids=["normal", "full"])
def test_what_was_answered_survives_a_killed_server(
    space: Space, store_uri: str, flags: tuple[str, ...]
) -> None:
    answered: dict[str, int] = {}
    is_killed = threading.Event()

    def log(netloc: str, number: int) -> None:
        connection = http.client.HTTPConnection(netloc, timeout=20)
        try:
            body = {"experiment_id": "0", "run_name": f"client {number}"}
            run = post(connection, "runs/create", body)["run"]
            assert isinstance(run, dict)
            run_id = run["info"]["run_id"]
            answered[run_id] = -1
            for step in range(100_000):
                metrics = [
                    {"key": f"m{index}", "value": step, "timestamp": step, "step": step}
                    for index in range(METRICS)
                ]
                tags = [{"key": "step", "value": str(step)}]
                post(
                    connection,
                    "runs/log-batch",
                    {"run_id": run_id, "metrics": metrics, "tags": tags},
                )
                answered[run_id] = step
        except (OSError, http.client.HTTPException):
            assert is_killed.is_set()
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as threads:
        with server(space, "--backend-store-uri", store_uri, *flags) as netloc:
            clients = [threads.submit(log, netloc, number) for number in range(CLIENTS)]
            until(lambda: len(answered) == CLIENTS and min(answered.values()) >= 10)
            is_killed.set()
        for client in clients:
            client.result()
    with tracking_store(store_uri) as store:
        assert len(store.search_runs(["0"]).items) == CLIENTS
        for run_id, last in answered.items():
            kept = int(store.get_run(run_id).tags["step"])
            assert kept in {last, last + 1}  # the very last may have been kept, but not answered
            for index in range(METRICS):
                points = store.get_metric_history(run_id, f"m{index}").items
                assert [point.step for point in points] == list(range(kept + 1))


@pytest.mark.postgres
def test_a_database_that_restarts_under_a_server_is_told_as_something_that_passes(
    space: Space, own_postgres: PostgresServer
) -> None:
    with server(space, "--backend-store-uri", own_postgres.new_store()) as netloc:
        connection = http.client.HTTPConnection(netloc, timeout=20)
        post(connection, "runs/create", {"experiment_id": "0"})
        own_postgres.stop()
        connection.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert answer["error_code"] == "TEMPORARILY_UNAVAILABLE"
        own_postgres.start()
        post(connection, "runs/create", {"experiment_id": "0"})
        connection.close()


@pytest.mark.postgres
def test_a_server_does_not_start_with_a_database_that_refuses_it(
    space: Space, postgres: PostgresServer
) -> None:
    done = space.flowrun(
        "server", "--port", "0", "--backend-store-uri", postgres.uri("nowhere"), code=3
    )
    assert done.err == (
        f'flowrun: store {postgres.uri("nowhere")}: database "nowhere" does not exist\n'
        "Check the URI: user, password, host, port, database.\n"
    )
