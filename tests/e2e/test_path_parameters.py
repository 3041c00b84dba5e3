"""Parameters of type path: every kind of thing that they name, and what is said when it is none."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.projects import MODEL_PIPELINE
from tests.support.space import Space

LOCAL = ("--env-manager", "local")
SHOW = {
    "p/MLproject": """\
entry_points:
  main:
    parameters: {data: path}
    command: "find {data} -type f -exec cat {{}} +"
""",
}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "wine list.csv").write_text("red,1\n")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_of_the_web_is_fetched_and_its_password_kept_by_nobody(
    space: Space, web: str
) -> None:
    space.write(SHOW)
    url = f"http://me:pass-w0rd@{web}/wine%20list.csv?sig=s1gn"
    done = space.flowrun("run", "p", "-P", f"data={url}", *LOCAL)
    assert "main | red,1" in done.out
    [run] = space.runs()
    assert json.loads(run["tags"]["flowrun.input.data"]) == {
        "uri": f"http://{web}/wine%20list.csv",
        "sha256": hashlib.sha256(b"red,1\n").hexdigest(),
        "size_bytes": 6,
    }
    kept = b"".join(path.read_bytes() for path in space.home.rglob("*") if path.is_file())
    assert b"pass-w0rd" not in kept
    missing = f"data=http://{web}/none.csv"
    outcome = space.flowrun("run", "p", "-P", missing, "--json", *LOCAL, code=1).json()
    assert outcome["steps"][0]["detail"] == (
        f"parameter 'data': http://{web}/none.csv: there is no such file (HTTP 404)"
    )


def test_artifacts_of_runs_and_models_are_fetched(space: Space) -> None:
    space.write({f"models/{name}": text for name, text in MODEL_PIPELINE.items()} | SHOW)
    space.flowrun("run", "models", *LOCAL)
    train = space.run_of("train")
    model_id = train["models"][0]
    uris = ("models:/demo/1", "models:/demo@champion", "models:/demo/Production")
    for uri in (*uris, f"models:/{model_id}", f"runs:/{train['run_id']}/model"):
        done = space.flowrun("run", "p", "-P", f"data={uri}", "--json", *LOCAL)
        run_id = done.json()["run_id"]
        assert "loader_module: demo" in space.flowrun("runs", "logs", run_id).out, uri
    digests = {
        json.loads(run["tags"]["flowrun.input.data"])["sha256"]
        for run in space.runs()
        if "flowrun.input.data" in run["tags"]
    }
    assert digests == {json.loads(train["tags"]["flowrun.output.model"])["sha256"]}


WRONG = {
    "no model's URI": (
        "models:/demo",
        2,
        "MLproject:2:3: parameter 'data' of step 'main': 'models:/demo' names no model\n",
    ),
    "a kind nobody fetches": (
        "gopher://x/y",
        2,
        "flowrun: MLproject:2:3: parameter 'data' of step 'main': 'gopher://x/y': nothing is "
        "fetched by 'gopher:'; known are ",
    ),
    "no text": (
        "\udcff.csv",
        2,
        "flowrun: -P data: '\\udcff.csv' is not UTF-8 text, so it can't be recorded\n",
    ),
    "not there": (
        "//[x",
        2,
        "flowrun: parameter 'data' of entry point 'main' is a path, but //[x does not exist (from "
        "-P data=//[x)\n",
    ),
}


@pytest.mark.parametrize(("value", "code", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_can_not_be_is_told_before_any_run_exists(
    space: Space, value: str, code: int, message: str
) -> None:
    space.write(SHOW)
    done = space.flowrun("run", "p", "-P", f"data={value}", *LOCAL, code=code)
    assert message in done.err
    assert space.runs() == []


def test_a_run_that_is_not_there_fails_the_step_that_wants_it(space: Space) -> None:
    space.write(SHOW)
    run_id = "0" * 32
    done = space.flowrun("run", "p", "-P", f"data=runs:/{run_id}/x", *LOCAL, code=1)
    assert f"parameter 'data': Run with id={run_id} not found" in done.out


def test_what_is_fetched_stays_in_the_storage_folder_run_after_run(space: Space, web: str) -> None:
    space.write(SHOW)
    words = ("run", "p", "-P", f"data=http://{web}/wine%20list.csv", "--storage-dir", "kept")
    for _ in range(2):
        assert "main | red,1" in space.flowrun(*words, *LOCAL).out
    found = list((space.path / "kept").glob("*/data/wine list.csv"))
    assert [path.read_text() for path in found] == ["red,1\n"] * 2


def test_a_command_may_move_and_change_what_it_was_given(space: Space) -> None:
    space.write(
        {
            "p/data.csv": "before\n",
            "p/MLproject": """\
entry_points:
  main:
    parameters: {data: {type: path, default: data.csv}}
    command: "echo after > {data}; mv {data} elsewhere.csv"
""",
        }
    )
    space.flowrun("run", "p", *LOCAL)
    digest = json.loads(space.runs()[0]["tags"]["flowrun.input.data"])["sha256"]
    assert digest == hashlib.sha256(b"before\n").hexdigest()
