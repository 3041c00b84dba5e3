"""Which model an evaluation compares with, from a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.engine.cache.digest import Digest
from flowrun.engine.release.baseline import settled
from flowrun.engine.request import Rehearsal
from flowrun.engine.values import OutputValue
from flowrun.errors import InvalidValueError
from flowrun.registry.entities import Stage
from flowrun.registry.store import RegistryStore
from tests.engine.running import engine
from tests.plan.planning import plan_of, step_of

PIPELINE = """
entry_points:
  main:
    steps:
      check:
        evaluate: {model: m, data: d.csv, type: classifier, target: y, baseline: BASELINE}
      other: {run: 'ls {baseline}', with: {baseline: 'models:/wine@champion'}}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryStore]:
    """Give a registry with three versions of a model, the second of which is the champion."""
    with engine(tmp_path) as made:
        store = made.stores.registry
        store.create_registered_model("wine")
        store.create_registered_model("empty")
        for _ in range(3):
            store.create_model_version("wine", f"{tmp_path}/model")
        store.set_alias("wine", "champion", "2")
        store.promote(
            "wine",
            "1",
            stage=Stage.PRODUCTION,
            alias=None,
            archive_existing=False,
            user_id="me",
            reason="",
            run_id=None,
        )
        yield store


FOUND = {
    "by alias": ("models:/wine@champion", "models:/wine/2"),
    "by stage": ("models:/wine/production", "models:/wine/1"),
    "the newest": ("models:/wine@latest", "models:/wine/3"),
    "a version": ("models:/wine/3", "models:/wine/3"),
    "a logged model": (f"models:/m-{'0' * 32}", f"models:/m-{'0' * 32}"),
    "a directory": ("models/old", "models/old"),
    "an alias that nobody has": ("models:/wine@best", None),
    "an empty stage": ("models:/wine/Staging", None),
    "a model without versions": ("models:/empty@latest", None),
    "no such model": ("models:/beer@champion", None),
    "nothing at all": ("", None),
}


@pytest.mark.parametrize(("given", "expected"), FOUND.values(), ids=FOUND)
def test_a_baseline_is_one_version_or_none(
    registry: RegistryStore, given: str, expected: str | None
) -> None:
    step = step_of(plan_of(PIPELINE), "check")
    found = settled(step, {"data": "d.csv", "baseline": given}, registry, None)
    own = {} if expected is None else {"baseline": expected}
    assert found == {"data": "d.csv", "champion": expected or "none", **own}


def test_an_output_of_a_step_stays_what_it_is(registry: RegistryStore) -> None:
    output = OutputValue.of(
        f"models:/m-{'1' * 32}", Digest("0" * 64, 1, is_directory=True), is_model=True
    )
    found = settled(step_of(plan_of(PIPELINE), "check"), {"baseline": output}, registry, None)
    assert found["baseline"] is output


def test_a_run_that_is_carried_out_again_has_the_champion_of_then(registry: RegistryStore) -> None:
    step = step_of(plan_of(PIPELINE), "check")
    given = {"baseline": "models:/wine@champion"}
    then = Rehearsal(champions={"check": "models:/wine/1"})
    assert settled(step, given, registry, then)["baseline"] == "models:/wine/1"
    first = Rehearsal(champions={"check": "none"})
    assert settled(step, given, registry, first) == {"champion": "none"}


def test_other_commands_keep_what_they_are_given(registry: RegistryStore) -> None:
    given = {"baseline": "models:/wine@champion"}
    assert settled(step_of(plan_of(PIPELINE), "other"), given, registry, None) == given


def test_a_stage_that_is_none_is_refused(registry: RegistryStore) -> None:
    step = step_of(plan_of(PIPELINE), "check")
    with pytest.raises(InvalidValueError, match="Invalid Model Version stage: Best"):
        settled(step, {"baseline": "models:/wine/Best"}, registry, None)
