"""What killed flowruns leave is closed, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.engine.record.live import (
    ABANDONED,
    PARENT_TAG,
    SESSION_TAG,
    Session,
    SessionFile,
    close_abandoned,
    this_host,
)
from flowrun.tracking.entities import RunStatus
from flowrun.tracking.store import TrackingStore
from tests.support.stores import tracking_store

URI = "sqlite:///here"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrackingStore]:
    with tracking_store(tmp_path / "store.db") as opened:
        yield opened


def _session(tmp_path: Path, name: str, *, uri: str = URI, host: str | None = None) -> Session:
    return Session(name, uri, str(tmp_path / "work" / name), host or this_host())


def _dead(folder: Path, session: Session) -> Path:
    """Leave the file of a flowrun that was killed, and its work."""
    file = SessionFile(folder, session)
    file.close(keep=True)
    work = Path(session.work)
    (work / "1").mkdir(parents=True)
    return folder / f"{session.id}.json"


def _run(store: TrackingStore, experiment_id: str = "0", **tags: str) -> str:
    named = {key.replace("_", "."): value for key, value in tags.items()}
    return store.create_run(experiment_id, tags=named).info.run_id


def test_runs_of_a_dead_flowrun_and_those_below_them_are_closed(
    tmp_path: Path, store: TrackingStore
) -> None:
    live = tmp_path / "live"
    path = _dead(live, _session(tmp_path, "dead"))
    parent = _run(store, flowrun_session="dead")
    other_experiment = store.create_experiment("a step's own")
    below = _run(store, other_experiment, mlflow_parentRunId=parent)
    deeper = _run(store, mlflow_parentRunId=below)
    finished = _run(store, flowrun_session="dead")
    store.update_run(finished, status=RunStatus.FINISHED, end_time_ms=1)
    stranger = _run(store)
    closed = close_abandoned(live, URI, store, lambda: 77_000, lambda _: None)
    assert sorted(closed) == sorted([parent, below, deeper])
    for run_id in (parent, below, deeper):
        run = store.get_run(run_id)
        assert (run.info.status, run.info.end_time_ms) == (RunStatus.KILLED, 77_000)
        assert run.tags["flowrun.error"] == ABANDONED
    assert store.get_run(finished).info.status is RunStatus.FINISHED
    assert store.get_run(stranger).info.status is RunStatus.RUNNING
    assert not path.exists()
    assert not (tmp_path / "work" / "dead").exists()


def test_a_living_flowrun_one_elsewhere_and_one_of_another_store_are_left_alone(
    tmp_path: Path, store: TrackingStore
) -> None:
    live = tmp_path / "live"
    alive = SessionFile(live, _session(tmp_path, "alive"))
    elsewhere = _dead(live, _session(tmp_path, "elsewhere", host="another-machine"))
    other_store = _dead(live, _session(tmp_path, "other", uri="sqlite:///there"))
    runs = [_run(store, flowrun_session=name) for name in ("alive", "elsewhere", "other")]
    assert close_abandoned(live, URI, store, lambda: 77_000, lambda _: None) == []
    assert {store.get_run(run_id).info.status for run_id in runs} == {RunStatus.RUNNING}
    assert elsewhere.exists()
    assert other_store.exists()
    alive.close()
    assert not (live / "alive.json").exists()


def test_files_that_are_no_sessions_go(tmp_path: Path, store: TrackingStore) -> None:
    live = tmp_path / "live"
    live.mkdir()
    for name, text in {"empty": "", "list": "[]", "other": json.dumps({"id": "x"})}.items():
        (live / f"{name}.json").write_text(text)
    assert close_abandoned(live, URI, store, lambda: 77_000, lambda _: None) == []
    assert list(live.iterdir()) == []


def test_runs_that_are_each_others_parents_belong_to_nobody(
    tmp_path: Path, store: TrackingStore
) -> None:
    live = tmp_path / "live"
    _dead(live, _session(tmp_path, "dead"))
    one = _run(store)
    two = _run(store, mlflow_parentRunId=one)
    store.log_batch(one, tags={PARENT_TAG: two})
    gone = _run(store, mlflow_parentRunId="0" * 32)
    mine = _run(store, flowrun_session="dead")
    assert store.get_run(mine).tags[SESSION_TAG] == "dead"
    assert close_abandoned(live, URI, store, lambda: 77_000, lambda _: None) == [mine]
    assert store.get_run(gone).info.status is RunStatus.RUNNING
