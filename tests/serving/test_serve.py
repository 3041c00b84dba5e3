"""`flowrun models serve` as its callers see it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from flowrun.engine.services import Home
from tests.contracts.executor import is_alive
from tests.serving.models import (
    COLUMNS,
    NAUGHTY,
    ROWS,
    TEXT,
    save_code,
    save_function,
    save_numbers,
)
from tests.support.scoring import Scoring, scoring
from tests.support.space import Space, interrupt
from tests.support.waiting import until

SPLIT = {"dataframe_split": {"columns": COLUMNS, "data": ROWS}}
JSON = {"Content-Type": "application/json"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    folder = tmp_path_factory.mktemp("numbers")
    save_numbers(folder / "model")
    with scoring(folder, folder / "model", "--max-body-mb", "1") as server:
        yield server


@pytest.fixture(scope="module")
def naughty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    folder = tmp_path_factory.mktemp("naughty")
    save_code(folder / "model", NAUGHTY, TEXT)
    with scoring(folder, folder / "model", "-w", "2") as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    """Give the same model, with little time and few places for requests."""
    folder = tmp_path_factory.mktemp("hasty")
    save_code(folder / "model", NAUGHTY, TEXT)
    with scoring(folder, folder / "model", "-w", "2", "-t", "4", "--max-waiting", "3") as server:
        yield server


def what(text: str) -> object:
    """Ask the naughty model for something."""
    return {"dataframe_records": [{"what": text}]}


CALLS = {
    "ping": ("GET", "/ping", None, {}, 200, "\n"),
    "health": ("GET", "/health", None, {}, 200, "\n"),
    "no such path": ("GET", "/other", None, {}, 404, "ENDPOINT_NOT_FOUND"),
    "wrong method": ("GET", "/invocations", None, {}, 405, "ENDPOINT_NOT_FOUND"),
    "no content type": ("POST", "/invocations", b"{}", {}, 415, "content types"),
    "a column that is missing": (
        "POST",
        "/invocations",
        b'{"dataframe_records": [{"a": 1, "b": 2}]}',
        JSON,
        400,
        "Model is missing inputs ['c']",
    ),
    "a text in a column of numbers": (
        "POST",
        "/invocations",
        b'{"dataframe_records": [{"a": 1, "b": "x", "c": 3}]}',
        JSON,
        400,
        "Failed to convert column b",
    ),
    "too large a body": ("POST", "/invocations", b" " * (2**20 + 1), JSON, 413, "1048576 bytes"),
    "a foreign host": ("GET", "/ping", None, {"Host": "evil.example"}, 403, "PERMISSION_DENIED"),
    "a foreign page": (
        "POST",
        "/invocations",
        b"{}",
        {**JSON, "Origin": "https://evil.example"},
        403,
        "PERMISSION_DENIED",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_has_its_answer(numbers: Scoring, name: str) -> None:
    method, path, body, headers, status, text = CALLS[name]
    answer = numbers.call(method, path, body, headers)
    assert (answer.status, text in answer.body.decode()) == (status, True), answer.body


def test_concurrent_tables_get_their_own_predictions(numbers: Scoring) -> None:
    """Those that wait together are predicted in one call, a bad one among them or not."""
    tables = [[[float(n), 0.0, float(row)] for row in range(n % 3 + 1)] for n in range(40)]

    def ask(rows: list[list[float]]) -> list[float]:
        answer = numbers.ask({"dataframe_split": {"columns": COLUMNS, "data": rows}})
        assert answer.status == 200, answer.body
        found: list[float] = answer.json["predictions"]
        return found

    def ask_badly(_: object) -> int:
        return numbers.ask({"dataframe_split": {"columns": COLUMNS, "data": [["x"]]}}).status

    with ThreadPoolExecutor(16) as pool:
        bad = pool.map(ask_badly, range(10))
        came = list(pool.map(ask, tables))
        assert set(bad) == {400}
    for rows, made in zip(tables, came, strict=True):
        assert made == pytest.approx([sum(row) for row in rows])
    metrics = numbers.call("GET", "/metrics").body.decode()
    lines = [line.split() for line in metrics.splitlines() if not line.startswith("#")]
    told = {name: float(value) for name, value in lines}
    assert told["flowrun_model_calls_total"] < told["flowrun_model_requests_total"]
    assert 'flowrun_requests_total{method="POST",route="/invocations",status="400"}' in told


def test_openapi_tells_the_columns(numbers: Scoring) -> None:
    told = numbers.call("GET", "/openapi.json").json
    validate(told)
    post = told["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    records = next(f for f in post["schema"]["oneOf"] if f["title"] == "dataframe_records")
    row = records["properties"]["dataframe_records"]["items"]
    assert row["required"] == COLUMNS
    assert numbers.ask(post["example"]).status == 200


def test_model_that_raises_is_a_bad_request_and_nothing_more(naughty: Scoring) -> None:
    answer = naughty.ask(what("raise"))
    assert answer.status == 400
    assert answer.json["error_code"] == "BAD_REQUEST"
    assert "RuntimeError: no such wine" in answer.json["message"]
    assert "Traceback" not in answer.json["message"]
    assert naughty.ask(what("well")).json == {"predictions": ["well"]}


def test_what_a_model_prints_is_not_an_answer(naughty: Scoring) -> None:
    assert naughty.ask(what("print")).json == {"predictions": ["print"]}
    until(lambda: "printed by the model" in naughty.log.read_text(), what="the print")


def _all_there(server: Scoring) -> None:
    """Wait until both processes have loaded the model."""
    until(lambda: _told(server, "flowrun_model_processes") == 2, 60, "both processes")


def test_request_that_hangs_is_given_up_and_hurts_no_other(hasty: Scoring) -> None:
    _all_there(hasty)
    with ThreadPoolExecutor(1) as pool:
        bad = pool.submit(hasty.ask, what("hang"))
        assert [hasty.ask(what("well")).status for _ in range(20)] == [200] * 20
        assert bad.result().status == 504
    _all_there(hasty)


def test_request_that_a_process_dies_of_hurts_no_other(naughty: Scoring) -> None:
    _all_there(naughty)
    with ThreadPoolExecutor(1) as pool:
        bad = pool.submit(naughty.ask, what("die"))
        assert [naughty.ask(what("well")).status for _ in range(20)] == [200] * 20
        assert bad.result().status == 500
    _all_there(naughty)


def test_process_that_is_killed_is_replaced_unseen(naughty: Scoring) -> None:
    _all_there(naughty)
    for pid in naughty.children():
        os.kill(pid, signal.SIGKILL)
    assert naughty.ask(what("well")).status == 200
    assert naughty.call("GET", "/ping").status == 200


def test_more_requests_than_may_wait_are_refused_for_now(hasty: Scoring) -> None:
    _all_there(hasty)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: hasty.ask(what("hang")), range(12)))
    statuses = sorted(answer.status for answer in answers)
    assert set(statuses) == {503, 504}
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.headers["retry-after"] == "1"


def test_model_deleted_under_the_server_is_served_on(tmp_path: Path, space: Space) -> None:
    model = tmp_path / "model"
    save_numbers(model)
    with scoring(tmp_path, model) as server:
        for path in sorted(model.rglob("*"), reverse=True):
            path.unlink()
        model.rmdir()
        (pid,) = server.children()
        os.kill(pid, signal.SIGKILL)
        assert server.ask(SPLIT).status == 200
    done = space.flowrun("models", "serve", "-m", model, "--env-manager", "local", code=2)
    assert "is no model: no MLmodel file is there" in done.err


def test_request_in_flight_is_answered_when_the_server_is_stopped(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"while not os.path.exists({str(gate)!r}): threading.Event().wait(0.02)"
    code = NAUGHTY.replace("threading.Event().wait()", waits)
    save_code(tmp_path / "model", code, TEXT)
    with scoring(tmp_path, tmp_path / "model") as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.ask, what("hang"))
        in_flight = "flowrun_requests_in_flight"  # counts also the one that asks
        until(lambda: _told(server, in_flight) == 2, what="the request")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: _refuses(server), what="the end of listening")
        gate.touch()
        assert answer.result().status == 200
    assert server.process.returncode == 0


def _refuses(server: Scoring) -> bool:
    try:
        server.call("GET", "/ping")
    except ConnectionError:
        return True
    return False


def _told(server: Scoring, name: str) -> float:
    """Give what the metrics say."""
    text = server.call("GET", "/metrics").body.decode()
    line = next(x for x in text.splitlines() if x.startswith(f"{name} "))
    return float(line.split()[1])


def test_forbidden_pickle_is_refused_before_anything_starts(space: Space) -> None:
    save_function(space.path / "model", NAUGHTY, TEXT)
    words = ("models", "serve", "-m", space.path / "model", "-p", "0")
    done = space.flowrun(*words, code=2, FLOWRUN_ALLOW_PICKLE="false")
    assert "FLOWRUN_ALLOW_PICKLE forbids" in done.err
    assert not Home(space.home).envs.exists()


def test_public_address_asks_for_a_token(tmp_path: Path) -> None:
    save_numbers(tmp_path / "model")
    with scoring(tmp_path, tmp_path / "model", "-h", "0.0.0.0") as server:  # noqa: S104 - meant
        server = Scoring(server.url.replace("0.0.0.0", "127.0.0.1"), server.process, server.log)  # noqa: S104
        assert server.ask(SPLIT).status == 401
        assert server.call("GET", "/ping").status == 200
        token = (tmp_path / "home" / "server-token").read_text().strip()
        headers = {**JSON, "Authorization": f"Bearer {token}"}
        body = json.dumps(SPLIT).encode()
        assert server.call("POST", "/invocations", body, headers).status == 200


def test_processes_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    save_code(tmp_path / "model", NAUGHTY, TEXT)
    with scoring(tmp_path, tmp_path / "model") as server, ThreadPoolExecutor(1) as pool:
        (pid,) = server.children()
        asked = pool.submit(server.ask, what("hang"))
        until(lambda: _told(server, "flowrun_requests_in_flight") == 2, what="the request")
        server.process.kill()
        with pytest.raises((ConnectionError, HTTPException)):
            asked.result()
        until(lambda: not is_alive(pid), what="the end of the process")
    home = Home(tmp_path / "home")
    assert list(home.served.iterdir()) != []
    Space(tmp_path).flowrun("gc", "--yes", FLOWRUN_HOME=str(home.root))
    assert list(home.served.iterdir()) == []


LOADING = """
from flowrun.models import set_model
print("loading begins", flush=True)
DEED
set_model(len)
"""


def test_model_that_fails_to_load_ends_the_server_and_says_why(space: Space) -> None:
    code = LOADING.replace("DEED", "raise RuntimeError('no weights')")
    save_code(space.path / "model", code, TEXT)
    words = ("-m", space.path / "model", "-p", "0", "--env-manager", "local")
    done = space.flowrun("models", "serve", *words, code=2)
    assert "the model can't be loaded: RuntimeError: no weights" in done.err


def test_each_request_is_a_line_of_the_log_if_asked_for(space: Space) -> None:
    save_numbers(space.path / "model")
    words = ("-m", space.path / "model", "-p", "0", "--env-manager", "local", "--access-log")
    process = space.start("models", "serve", *words)
    assert process.stderr is not None
    url = process.stderr.readline().split()[4]
    server = Scoring(url, process, space.path / "serving.log")
    assert server.ask(SPLIT).status == 200
    interrupt(process)
    out, _ = process.communicate(timeout=30)
    told = json.loads(out)
    assert (told["method"], told["path"], told["status"]) == ("POST", "/invocations", 200)


def test_loading_can_be_interrupted(space: Space) -> None:
    code = LOADING.replace("DEED", "import threading; threading.Event().wait()")
    save_code(space.path / "model", code, TEXT)
    words = ("-m", space.path / "model", "-p", "0", "--env-manager", "local")
    process = space.start("models", "serve", *words)
    assert process.stderr is not None
    assert process.stderr.readline() == "loading begins\n"
    interrupt(process)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


REFUSED = {
    "mlserver": (("--enable-mlserver",), "--workers N"),
    "unknown manager": (("--env-manager", "pixi"), "no environment manager 'pixi'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_flags_that_make_no_sense_are_refused(space: Space, name: str) -> None:
    words, text = REFUSED[name]
    done = space.flowrun("models", "serve", "-m", "nowhere", "-p", "0", *words, code=2)
    assert text in done.err
