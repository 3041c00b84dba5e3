"""Recorded runs read back, from each kind of store."""

from __future__ import annotations

import pytest

from flowrun.errors import NotFoundError, UsageError
from flowrun.proof.reading import RunReader
from flowrun.tracking.entities import RunStatus
from tests.e2e.projects import ONE_STEP, PIPELINE
from tests.proof.conftest import Open
from tests.support.space import Space

LOCAL = ("--env-manager", "local")


def test_a_pipeline_is_read_back_with_all_that_was_recorded(anywhere: Space, opened: Open) -> None:
    repository = anywhere.repository("p", PIPELINE)
    (repository.path / "words.txt").write_text("plum\nfig\n")
    ran = anywhere.flowrun("run", "p", *LOCAL, "--run-name", "first", "-P", "lr=0.4", "--json")
    run_id = ran.json()["run_id"]
    with opened(anywhere) as stores:
        run = RunReader(stores).read(run_id[:12])
    assert (run.run_id, run.name, run.status) == (run_id, "first", RunStatus.FINISHED)
    assert (run.entry_point, run.is_pipeline, dict(run.params)) == ("main", True, {"lr": "0.4"})
    assert run.source.commit == repository.git("rev-parse", "HEAD").strip()
    assert run.source.is_dirty
    assert run.diff is not None
    assert "+plum" in run.diff
    assert run.project_file == PIPELINE["MLproject"]
    assert run.plan is not None
    assert run.plan["project"] == "pipe"
    trained = [f"train[lr={lr}]" for lr in ("0.4", "0.1", "0.2")]
    assert [step.id for step in run.steps] == ["prepare", *trained, "best", "report"]
    assert [step.kind for step in run.steps] == ["command"] * 4 + ["select", "command"]
    assert run.outcomes["best"].detail.startswith("train[lr=0.1]")
    prepare, train = run.step("prepare"), run.step("train[lr=0.1]")
    assert prepare is not None
    assert train is not None
    assert dict(prepare.values) == {"lines": "3"}
    assert prepare.outputs["table"].sha256 == train.inputs["table"].sha256
    assert prepare.outputs["table"].uri.startswith(f"runs:/{prepare.run_id}/")
    assert (train.exit_code, train.signal, dict(train.metrics)) == (0, None, {"loss": 0.1})
    assert train.command is not None
    assert "0.1" in train.command
    assert train.env is not None
    assert (train.env.backend, bool(train.env.lock)) == ("local", True)


def test_a_single_command_is_its_own_step(anywhere: Space, opened: Open) -> None:
    anywhere.repository("p", ONE_STEP)
    run_id = anywhere.flowrun("run", "p", *LOCAL, "--json").json()["run_id"]
    with opened(anywhere) as stores:
        run = RunReader(stores).read(run_id)
        assert [point.value for point in RunReader(stores).history(run_id, "none")] == []
    (step,) = run.steps
    assert (run.is_pipeline, step.run_id, step.id) == (False, run_id, "main")
    assert dict(run.params) == {"alpha": "0.5"}


def test_what_is_no_whole_run_of_flowruns_is_refused(space: Space, opened: Open) -> None:
    space.repository("p", PIPELINE)
    run_id = space.flowrun("run", "p", *LOCAL, "--json").json()["run_id"]
    with opened(space) as stores:
        reader = RunReader(stores)
        child = space.run_of("prepare")["run_id"]
        with pytest.raises(UsageError, match=f"{child} is step 'prepare' of run {run_id}"):
            reader.read(child)
        other = stores.tracking.create_run("0").info.run_id
        with pytest.raises(UsageError, match="was not made by `flowrun run`"):
            reader.read(other)
        for missing in ("0" * 32, "0000", "ab", "a' OR 'a"):
            with pytest.raises(NotFoundError, match="there is no run"):
                reader.read(missing)
