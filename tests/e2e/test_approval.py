"""Pipelines whose promotion somebody has to approve, from another process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.stores import open_stores
from tests.e2e.projects import MODEL_PIPELINE
from tests.support.genuine import Genuine
from tests.support.serving import TOKEN, serving
from tests.support.space import Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
APPROVED = MODEL_PIPELINE | {
    "MLproject": MODEL_PIPELINE["MLproject"].replace(
        "          alias: champion\n", "          alias: champion\n          approval: required\n"
    )
    + "      announce: {run: 'echo it is out', needs: promote}\n"
}
WAITS = "waits for an approval: flowrun models approve demo/1"


@pytest.fixture
def space(tmp_path: Path) -> Space:
    space = Space(tmp_path, {"USER": "ada", "LOGNAME": "ada"})
    space.write({f"p/{name}": text for name, text in APPROVED.items()})
    return space


@pytest.fixture(params=["own store", "server"])
def either(request: pytest.FixtureRequest, space: Space, tmp_path: Path) -> Iterator[Space]:
    """A folder with the pipeline, recorded in flowrun's own store or on its server."""
    if request.param == "own store":
        yield space
        return
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as served:
        uri = {"FLOWRUN_TRACKING_URI": served.url, "MLFLOW_TRACKING_TOKEN": TOKEN}
        yield Space(tmp_path, {**space.variables, **uri})


def _run(space: Space, rmse: str, *words: str, code: int = 4) -> str:
    return space.flowrun("run", "p", "-P", f"rmse={rmse}", *LOCAL, *words, code=code).out


def _as_bob(space: Space, *words: str, code: int = 0) -> str:
    return space.flowrun("models", *words, code=code, USER="bob", LOGNAME="bob").text.strip()


def test_a_pending_pipeline_goes_on_once_it_is_approved(either: Space) -> None:
    out = _run(either, "0.7")
    assert WAITS in out
    assert "announce | skipped" in out
    [request] = either.flowrun("models", "requests", "--json").json()
    assert (request["version"], request["to"], request["user"]) == ("1", "Production", "ada")
    assert either.flowrun("models", "show", "demo/1", "--json").json()["stage"] == "None"
    pipeline = next(run for run in either.runs() if "flowrun.pipeline" in run["tags"])
    assert (pipeline["status"], pipeline["tags"]["flowrun.exit_code"]) == ("FINISHED", "4")
    assert WAITS in pipeline["tags"]["flowrun.pending"]
    assert "gives the same again" in either.flowrun("verify", pipeline["run_id"], "-q").out

    assert WAITS in either.flowrun("resume", pipeline["run_id"], code=4).out
    told = _as_bob(either, "approve", "demo/1", "--comment", "looks fine")
    assert told == "demo/1 is now Production and @champion"
    told = _as_bob(either, "approve", "demo/1", code=2)
    assert told == (
        "flowrun: nobody asks for demo/1 (any more): its last request, to Production and "
        "@champion, was approved by bob: looks fine"
    )
    out = either.flowrun("resume", pipeline["run_id"]).out
    assert "is now Production and champion (approved by bob: looks fine)" in out
    assert "announce | it is out" in out
    assert either.flowrun("models", "history", "demo", "--json").json()["moves"][0]["user"] == "bob"


@pytest.mark.parametrize(("word", "code"), [("approve", 0), ("reject", 1)])
def test_a_waiting_pipeline_ends_as_somebody_decides(space: Space, word: str, code: int) -> None:
    process = space.start("run", "p", *LOCAL, "--wait-approval", "5m")
    until(lambda: bool(_asked(space)))
    _as_bob(space, word, "demo/1", "-m", "because")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"{word.removesuffix('e')}ed by bob: because" in out
    assert ("announce | it is out" in out) is (code == 0)


def _asked(space: Space) -> object:
    done = space.flowrun("models", "requests", "--json", code=None)
    return done.code == 0 and json.loads(done.out)


def test_an_approval_looks_at_the_champion_again(space: Space) -> None:
    for rmse in ("0.7", "0.5", "0.6"):
        _run(space, rmse)
    _as_bob(space, "approve", "demo/1")
    _as_bob(space, "approve", "demo/2")
    told = _as_bob(space, "approve", "demo/3", code=2)
    assert told == (
        "flowrun: demo/3 does not go to Production and @champion: Production and @champion is held "
        "by version 2 now, and its condition is not met any more: champion is none or "
        "steps.train.metrics.rmse < champion.metrics.rmse (steps.train.metrics.rmse = 0.6, "
        "champion.metrics.rmse = 0.5)\n"
        "Reject it (flowrun models reject demo/3), or go back to the version before (flowrun "
        "models rollback)."
    )
    told = _as_bob(space, "rollback", "demo", "-m", "slow")
    assert told == "demo version 1 is now Production and @champion (slow)"
    assert _as_bob(space, "approve", "demo/3") == "demo/3 is now Production and @champion"


def test_a_rule_of_the_registry_counts_where_the_step_says_nothing(space: Space) -> None:
    space.write({"p/MLproject": MODEL_PIPELINE["MLproject"]})
    assert "is now Production and champion" in _run(space, "0.7", code=0)
    space.flowrun("models", "rule", "demo", "--stage", "Production", "--by-another")
    _run(space, "0.6")
    told = space.flowrun("models", "approve", "demo/2", code=2).err
    assert told == ("flowrun: 'ada' may not decide this: it takes another than the one who asked\n")
    told = _as_bob(space, "promote", "demo/2", "--to", "Production", code=2)
    assert told.startswith(
        "flowrun: Production of 'demo' is entered with an approval only (by anybody but the one "
        "who asks)"
    )
    assert _as_bob(space, "approve", "demo/2") == "demo/2 is now Production and @champion"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(space: Space) -> None:
    _run(space, "0.7")
    _as_bob(space, "approve", "demo/1")
    before = space.flowrun("models", "show", "demo", "--json").out
    out = _run(space, "0.5", "--dry-run-registry", code=0)
    assert "dry run: would make a version of demo of models:/m-" in out
    assert (
        "dry run: would move demo version new to Production and champion; in place of version 1; "
        "condition met: champion is none or steps.train.metrics.rmse < champion.metrics.rmse "
        "(steps.train.metrics.rmse = 0.5, champion.metrics.rmse = 0.7); once approved by anybody"
    ) in out
    assert "announce | skipped" in out
    assert "its condition is not met" in _run(space, "0.9", "--dry-run-registry", code=0)
    assert space.flowrun("models", "show", "demo", "--json").out == before


def test_the_same_model_is_registered_once_unless_always(space: Space) -> None:
    _run(space, "0.7")
    assert "demo version 1, registered before" in _run(space, "0.7")
    always = APPROVED["MLproject"].replace(
        "register: {name: demo,", "register: {always: true, name: demo,"
    )
    space.write({"p/MLproject": always})
    assert "done in" in _run(space, "0.7")
    versions = space.flowrun("models", "show", "demo", "--json").json()["versions"]
    assert sorted(each["version"] for each in versions) == ["1", "2"]


def test_a_model_whose_files_are_gone_is_not_registered(space: Space) -> None:
    project = """
entry_points:
  main:
    parameters: {model: string}
    steps:
      register: {register: {name: demo, model: "${{ params.model }}"}}
"""
    space.write({"q/MLproject": project})
    _run(space, "0.7")
    run_id = space.run_of("train")["run_id"]
    out = space.flowrun("run", "q", "-P", f"model=runs:/{run_id}/absent", *LOCAL, code=1).out
    assert f"the model runs:/{run_id}/absent can't be registered: there are no files at " in out
    assert "make them again with `flowrun run --rerun`" in out
    # What a client of MLflow 3 logs lies beside the run, under the name that the path has.
    with open_stores(f"sqlite:///{space.home / 'flowrun.db'}", space.home / "artifacts") as stores:
        [output] = stores.tracking.get_run(run_id).model_outputs
        name = stores.tracking.get_logged_model(output.model_id).name
    out = space.flowrun("run", "q", "-P", f"model=runs:/{run_id}/{name}", *LOCAL).out
    assert "demo version 2" in out


@pytest.mark.slow
def test_on_mlflows_server_an_approval_is_refused_before_anything_runs(
    space: Space, genuine: Genuine
) -> None:
    genuine.empty()
    done = space.flowrun("run", "p", *LOCAL, code=2, MLFLOW_TRACKING_URI=genuine.url)
    assert "`approval: required` needs flowrun's own registry" in done.err
    assert "started" not in done.out
