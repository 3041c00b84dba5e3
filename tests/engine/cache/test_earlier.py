"""Earlier runs are found in a store that anyone may have written to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.engine.cache.earlier import (
    FINGERPRINT_TAG,
    MANIFEST_TAG,
    STEP_TAG,
    EarlierRuns,
    name_of,
)
from flowrun.plan.fingerprint import Kind, Label, Manifest
from flowrun.stores import Stores, open_stores
from flowrun.tracking.entities import Run, RunStatus

LR = Label(Kind.PARAMETER, "lr")
COMMAND = Label(Kind.COMMAND)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with open_stores(f"sqlite:///{tmp_path / 'flowrun.db'}", tmp_path / "artifacts") as opened:
        yield opened


def finished(stores: Stores, step_id: str, manifest: Manifest, **more: str) -> Run:
    """Record a finished run of a step."""
    tags = {
        STEP_TAG: step_id,
        FINGERPRINT_TAG: manifest.fingerprint,
        MANIFEST_TAG: manifest.text,
        **more,
    }
    run = stores.tracking.create_run("0", tags=tags)
    stores.tracking.update_run(run.info.run_id, status=RunStatus.FINISHED)
    return run


def test_only_finished_runs_are_found_the_newest_first(stores: Stores) -> None:
    manifest = Manifest.of({COMMAND: "make"})
    stores.tracking.create_run("0", tags={FINGERPRINT_TAG: manifest.fingerprint})
    made = [finished(stores, "a", manifest).info.run_id for _ in range(3)]
    earlier = EarlierRuns(stores.tracking, stores.open_artifacts)
    found = [run.info.run_id for run in earlier.find(manifest.fingerprint)]
    assert sorted(found) == sorted(made)
    assert earlier.find("0" * 64) == ()


def test_the_nearest_run_is_the_one_with_the_fewest_differences(stores: Stores) -> None:
    near = finished(stores, "train", Manifest.of({COMMAND: "train", LR: "0.1"}))
    finished(stores, "train", Manifest.of({COMMAND: "other", LR: "0.3"}))
    finished(stores, "train", Manifest.of({COMMAND: "other", LR: "0.4"}), **{MANIFEST_TAG: "odd"})
    earlier = EarlierRuns(stores.tracking, stores.open_artifacts)
    found = earlier.nearest("train", Manifest.of({COMMAND: "train", LR: "0.2"}))
    assert found is not None
    assert found[0].info.run_id == near.info.run_id
    assert earlier.nearest("prepare", Manifest.of({COMMAND: "train"})) is None


ODD_NAMES = ["it's", 'a "b"', "`c`", "d\\"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_no_filter_can_hold_is_not_asked_for(stores: Stores, name: str) -> None:
    earlier = EarlierRuns(stores.tracking, stores.open_artifacts)
    earlier.fetch(f"file:///{name} main", {name})
    assert earlier.nearest(name, Manifest.of({COMMAND: "make"})) is None


NAMES = {
    "train": "train",
    "train[lr=0.1]": "train",
    "score/train[lr=0.1]": "score/train",
    "score[a=1]/train": "score[a=1]/train",
}


@pytest.mark.parametrize(("step_id", "name"), NAMES.items(), ids=NAMES)
def test_instances_of_a_matrix_have_one_name(step_id: str, name: str) -> None:
    assert name_of(step_id) == name
