"""Runs recorded on a tracking server: flowrun's own, and MLflow's as it is released."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.stores import open_stores
from tests.e2e.projects import MODEL_PIPELINE, ONE_STEP, PIPELINE
from tests.support.genuine import Genuine
from tests.support.serving import TOKEN, Served, serving
from tests.support.space import Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
SLEEPER = "entry_points:\n  main:\n    steps:\n      nap: {run: 'echo x > %s; sleep 300'}\n"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as served:
        yield served


@pytest.fixture
def team(served: Served, tmp_path: Path) -> Space:
    """Give a folder whose flowrun records on flowrun's own server."""
    return Space(tmp_path, {"FLOWRUN_TRACKING_URI": served.url, "MLFLOW_TRACKING_TOKEN": TOKEN})


@pytest.fixture(params=["flowrun", pytest.param("mlflow", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Space:
    """Give a folder whose flowrun records on one of the two servers."""
    if request.param == "flowrun":
        space: Space = request.getfixturevalue("team")
        return space
    genuine: Genuine = request.getfixturevalue("genuine")
    genuine.empty()
    return Space(tmp_path, {"MLFLOW_TRACKING_URI": genuine.url})


def _project(space: Space, files: dict[str, str]) -> None:
    space.write({f"p/{name}": text for name, text in files.items()})


def _statuses(space: Space) -> dict[str, str]:
    return {run["tags"].get("flowrun.step", "parent"): run["status"] for run in space.runs()}


def test_a_pipeline_is_recorded_on_the_server_and_nowhere_else(either: Space) -> None:
    _project(either, PIPELINE)
    done = either.flowrun("run", "p", *LOCAL, "--experiment-name", "team")
    assert "report | best is 0.1 of 3" in done.out
    uri = either.variables.get("FLOWRUN_TRACKING_URI") or either.variables["MLFLOW_TRACKING_URI"]
    assert done.out.splitlines()[-1] == f"  kept in        {uri}"
    assert set(_statuses(either).values()) == {"FINISHED"}
    assert len(_statuses(either)) == 7
    run = either.run_of("train[lr=0.2]")
    assert (run["metrics"], run["params"]["lr"]) == ({"loss": 0.2}, "0.2")
    assert json.loads(run["tags"]["flowrun.input.table"])["uri"].startswith("runs:/")
    assert run["tags"]["flowrun.exit_code"] == "0"
    shown = either.flowrun("runs", "show", run["run_id"]).out
    assert f"runs:/{run['tags']['mlflow.parentRunId']}/flowrun/environments/" in shown
    assert either.flowrun("runs", "logs", either.run_of("report")["run_id"]).out.endswith(
        "best is 0.1 of 3\n"
    )
    assert [e["name"] for e in either.flowrun("experiments", "list", "--json").json()] == [
        "Default",
        "team",
    ]
    assert not (either.home / "flowrun.db").exists()


def test_models_are_registered_promoted_and_remembered(either: Space) -> None:
    _project(either, MODEL_PIPELINE)
    for rmse, promoted in (("0.7", True), ("0.9", False), ("0.5", True)):
        done = either.flowrun("run", "p", "-P", f"rmse={rmse}", *LOCAL, USER="ada", LOGNAME="ada")
        assert ("is now Production and champion" in done.out) is promoted
    model = either.flowrun("models", "show", "demo", "--json").json()
    assert {v["version"]: v["stage"] for v in model["versions"]} == {
        "1": "Archived",
        "2": "None",
        "3": "Production",
    }
    assert model["aliases"] == {"champion": "3"}
    assert {v["user"] for v in model["versions"]} == {"ada"}
    moves = [(line["version"], line["kind"], line["from"], line["to"]) for line in model["history"]]
    assert moves == [
        ("1", "stage", "None", "Production"),
        ("1", "alias", "", "1"),
        ("1", "stage", "Production", "Archived"),
        ("3", "stage", "None", "Production"),
        ("3", "alias", "1", "3"),
    ]
    assert {line["user"] for line in model["history"]} == {"ada"}
    assert model["history"][-1]["reason"].startswith("condition met: champion is none or")
    version = either.flowrun("models", "show", "demo@champion", "--json").json()
    assert version["metrics"] == {"rmse": 0.5}
    assert version["tags"]["flowrun.model.sha256"]
    assert either.flowrun("models", "show", "demo/3").out.count("mlflow-artifacts:/") == 1
    assert sorted(_versions_noted(either)) == [("demo", 1), ("demo", 2), ("demo", 3)]


def test_a_failed_step_is_recorded(either: Space) -> None:
    main = "  main:\n    steps:\n      bad: {run: 'echo oh; exit 3'}\n"
    _project(either, {"MLproject": f"entry_points:\n{main}"})
    either.flowrun("run", "p", *LOCAL, code=1)
    assert _statuses(either) == {"parent": "FAILED", "bad": "FAILED"}
    bad = either.run_of("bad")
    assert bad["tags"]["flowrun.error"] == "its command ended with exit code 3"
    assert either.flowrun("runs", "logs", bad["run_id"]).out == "oh\n"


def test_a_cancelled_run_is_killed_on_the_server(either: Space) -> None:
    process = _started(either)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert set(_statuses(either).values()) == {"KILLED"}


def test_what_a_killed_flowrun_left_is_closed_by_the_next(either: Space) -> None:
    process = _started(either)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert set(_statuses(either).values()) == {"RUNNING"}
    _project(either, ONE_STEP)
    either.flowrun("run", "p", *LOCAL)
    assert sorted(run["status"] for run in either.runs()) == ["FINISHED", "KILLED", "KILLED"]
    assert list((either.home / "live").glob("*.json")) == []


def test_a_steps_own_client_logs_into_its_run(team: Space) -> None:
    script = "import flowrun\nflowrun.log_metric('m', 2.5)\nflowrun.log_text('hi', 'note.txt')\n"
    project = "entry_points:\n  main: {command: python log.py}\n"
    _project(team, {"MLproject": project, "log.py": script})
    team.flowrun("run", "p", *LOCAL)
    [run] = team.runs()
    assert (run["status"], run["metrics"]) == ("FINISHED", {"m": 2.5})


def test_a_program_logs_to_the_server_that_flowrun_records_on(team: Space) -> None:
    code = "import flowrun; flowrun.log_param('a', 1)"
    subprocess.run([sys.executable, "-c", code], cwd=team.path, env=team.environment(), check=True)
    [run] = team.runs()
    assert run["params"] == {"a": "1"}


def test_the_servers_token_is_masked_in_what_a_step_prints(team: Space) -> None:
    _project(team, {"MLproject": "entry_points:\n  main: {command: env}\n"})
    done = team.flowrun("run", "p", *LOCAL)
    assert "MLFLOW_TRACKING_TOKEN=***" in done.out
    assert TOKEN not in done.out + team.flowrun("runs", "logs", team.runs()[0]["run_id"]).out


def test_a_server_gone_in_the_middle_fails_the_step(space: Space) -> None:
    server, uri = _server(space)
    process = _waiting_step(space, uri, FLOWRUN_SERVER_PATIENCE_S="1")
    server.kill()
    server.communicate()
    (space.path / "fifo").write_text("go on\n")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3, out + err
    reason = f"the tracking server at {uri} can't be reached, for 1 s: Connection refused"
    assert reason in out
    # What could not be closed is closed by the next flowrun, once the server is back.
    server, _ = _server(space, port=uri.rpartition(":")[2])
    space.flowrun("run", "other", "--tracking-uri", uri, *LOCAL)
    shown = space.flowrun("runs", "list", "--json", "--tracking-uri", uri).json()
    server.kill()
    server.communicate()
    assert [run["status"] for run in shown] == ["FINISHED", "KILLED"]


@pytest.mark.slow
def test_a_server_that_is_gone_for_ten_seconds_is_waited_for(space: Space) -> None:
    server, uri = _server(space)
    process = _waiting_step(space, uri)
    server.kill()
    server.communicate()
    (space.path / "fifo").write_text("go on\n")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    server, _ = _server(space, port=uri.rpartition(":")[2])
    out, err = process.communicate(timeout=120)
    server.kill()
    server.communicate()
    assert process.returncode == 0, out + err


def test_an_address_that_is_no_server_is_told_before_anything_runs(space: Space) -> None:
    _project(space, ONE_STEP)
    uri = "http://127.0.0.1:9"
    done = space.flowrun("run", "p", "--tracking-uri", uri, *LOCAL, code=3)
    told = f"flowrun: the tracking server at {uri} can't be reached: Connection refused"
    assert done.err.splitlines()[-1] == told
    assert "alpha=" not in done.out


@pytest.mark.parametrize("words", [["runs", "list"], ["experiments", "list"], ["models", "list"]])
def test_a_wrong_token_is_told(team: Space, words: list[str]) -> None:
    done = team.flowrun(*words, code=2, MLFLOW_TRACKING_TOKEN="wrong")
    uri = team.variables["FLOWRUN_TRACKING_URI"]
    assert done.err.startswith(f"flowrun: {uri}: The token is not the one of this server.\n")


def test_doctor_looks_at_the_server(team: Space) -> None:
    uri = team.variables["FLOWRUN_TRACKING_URI"]
    rows = {row["thing"]: row for row in team.flowrun("doctor", "--json").json()}
    assert rows["server"]["verdict"] == "good"
    assert rows["server"]["found"].startswith(f"{uri} answers in ")
    words = ("doctor", "--json", "--tracking-uri", f"{uri}/nowhere")
    rows = {row["thing"]: row for row in team.flowrun(*words, code=3).json()}
    assert rows["server"]["verdict"] == "BAD"


def test_a_password_in_the_address_is_never_shown(served: Served, space: Space) -> None:
    uri = served.url.replace("//", f"//ada:{TOKEN}@")
    _project(space, ONE_STEP)
    done = space.flowrun("run", "p", "--tracking-uri", uri, *LOCAL)
    shown = space.flowrun("runs", "list", "--json", "--tracking-uri", uri)
    assert TOKEN not in done.text + shown.text
    [run] = shown.json()
    assert run["status"] == "FINISHED"
    assert f"flowrun runs show {run['run_id']} --tracking-uri {served.url}\n" in done.out


def test_a_run_on_the_embedded_store_loads_nothing_for_servers(space: Space) -> None:
    _project(space, ONE_STEP)
    code = (
        "import sys; from flowrun.api import run; outcome = run('p', env_manager='local');"
        "heavy = {'http.client', 'ssl', 'fsspec', 'flowrun.tracking.rest', 'flowrun.registry.rest'}"
        ";"
        "print(outcome.status, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=space.path,
        env=space.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "FINISHED []\n"


def _versions_noted(space: Space) -> list[tuple[str, int]]:
    """Give what the logged models say about the versions that were made of them."""
    uri = space.variables.get("FLOWRUN_TRACKING_URI") or space.variables["MLFLOW_TRACKING_URI"]
    with open_stores(uri, "", variables=space.variables) as stores:
        models = stores.tracking.search_logged_models(["0"]).items
    noted = [made for model in models for made in json.loads(model.tags["mlflow.modelVersions"])]
    return [(made["name"], made["version"]) for made in noted]


def _started(space: Space) -> subprocess.Popen[str]:
    """Start a pipeline whose one step sleeps, and wait until it does."""
    _project(space, {"MLproject": SLEEPER % (space.path / "began")})
    process = space.start("run", "p", *LOCAL)
    until(lambda: (space.path / "began").exists(), 60, "the step")
    return process


def _waiting_step(space: Space, uri: str, **variables: str) -> subprocess.Popen[str]:
    """Start a step that ends once something is written to `fifo`, and wait until it waits."""
    command = f"echo x > {space.path}/began; cat {space.path}/fifo"
    os.mkfifo(space.path / "fifo")
    _project(space, {"MLproject": f"entry_points:\n  main: {{command: '{command}'}}\n"})
    space.write({f"other/{name}": text for name, text in ONE_STEP.items()})
    process = space.start("run", "p", "--tracking-uri", uri, *LOCAL, **variables)
    until(lambda: (space.path / "began").exists(), 60, "the step")
    return process


def _server(space: Space, port: str = "0") -> tuple[subprocess.Popen[str], str]:
    """Start `flowrun server` on a home of its own; give the process and its URL."""
    server = space.start("server", "--port", port, FLOWRUN_HOME=str(space.path / "server-home"))
    assert server.stdout is not None
    return server, server.stdout.readline().split()[3]


GATED = """\
entry_points:
  main:
    steps:
      make: {run: "date +%s%N > o", outputs: {o: o}, cache: false}
      gate: {run: "cat {o}; [ -e OPEN ]", with: {o: "${{ steps.make.outputs.o }}"}}
"""


def test_a_run_is_gone_on_with_from_another_machine(either: Space, tmp_path: Path) -> None:
    _project(either, {"MLproject": GATED.replace("OPEN", str(tmp_path / "open"))})
    either.flowrun("run", "p", *LOCAL, code=1)
    made = either.run_of("make")["run_id"]
    (tmp_path / "open").touch()
    (tmp_path / "p" / "MLproject").unlink()
    elsewhere = Space(tmp_path / "elsewhere", either.variables)
    elsewhere.path.mkdir()
    done = elsewhere.flowrun("resume", "latest")
    assert "make | done before it was resumed" in done.out
    assert either.run_of("make")["run_id"] == made
    assert [run["status"] for run in either.runs()].count("FINISHED") == 3


def _two_at_one_step(team: Space, tmp_path: Path) -> tuple[Space, subprocess.Popen[str]]:
    """Start a step on one machine; give another machine's space with the same project."""
    busy = f"echo >> {tmp_path}/begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo > out"
    text = f"entry_points: {{main: {{steps: {{long: {{run: '{busy}', outputs: {{o: out}}}}}}}}}}"
    other = Space(tmp_path / "other", team.variables)
    for space in (team, other):
        space.write({"p/MLproject": text})
    first = team.start("run", "p", *LOCAL)
    until((tmp_path / "begun").exists)
    return other, first


def test_a_step_that_another_machine_runs_is_waited_for(team: Space, tmp_path: Path) -> None:
    other, first = _two_at_one_step(team, tmp_path)
    second = other.start("run", "p", *LOCAL)
    assert second.stdout is not None
    told = next(line for line in second.stdout if "waiting" in line)
    run_id = team.run_of("long")["run_id"]
    assert re.fullmatch(
        rf"long +\| waiting for run {run_id} on \S+ \(process {first.pid}\), which does the same\n",
        told,
    )
    (tmp_path / "go").touch()
    out, err = second.communicate(timeout=60)
    first.communicate(timeout=60)
    assert (second.returncode, first.returncode) == (0, 0), err
    assert f"reused from run {run_id}" in out
    assert (tmp_path / "begun").read_text() == "\n"


def test_a_step_whose_machine_is_gone_is_not_waited_for(team: Space, tmp_path: Path) -> None:
    other, first = _two_at_one_step(team, tmp_path)
    first.kill()
    first.communicate()
    (tmp_path / "go").touch()
    done = other.flowrun("run", "p", *LOCAL)
    assert "waiting" not in done.out
    assert (tmp_path / "begun").read_text() == "\n\n"
