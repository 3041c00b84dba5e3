"""Steps that write to the registry, while others write to it too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.engine.events import Event, StepBegan, StepStatus
from flowrun.registry.entities import Stage
from flowrun.registry.store import RegistryStore
from flowrun.tracking.entities import Metric
from tests.engine.running import Engine, Heard, engine

PROMOTE = """
name: p
entry_points:
  main:
    steps:
      promote:
        promote: {name: wine, version: 3, to: Production}
        if: "${{ champion is none or 0.5 < champion.metrics.rmse }}"
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Engine]:
    """Versions 1 to 3 of `wine`, of runs with an rmse of 0.7, 0.4 and 0.5; 1 is in Production."""
    with engine(tmp_path) as running:
        registry, tracking = running.stores.registry, running.stores.tracking
        registry.create_registered_model("wine")
        for rmse in (0.7, 0.4, 0.5):
            run_id = tracking.create_run("0").info.run_id
            tracking.log_batch(run_id, metrics=[Metric("rmse", rmse, 1, 0)])
            tracking.log_batch(run_id)
            registry.create_model_version("wine", f"s3://b/{rmse}", run_id=run_id)
        registry.transition_stage("wine", "1", Stage.PRODUCTION)
        yield running


def _in_production(registry: RegistryStore) -> list[str]:
    found = registry.search_model_versions(filter_text="name = 'wine'").items
    return [each.version for each in found if each.stage is Stage.PRODUCTION]


@pytest.mark.parametrize(
    ("rival", "status", "left"),
    [("2", StepStatus.SKIPPED, ["2"]), ("1", StepStatus.SUCCEEDED, ["3"])],
    ids=["a better one", "the same again"],
)
def test_a_promotion_compares_with_who_is_champion_in_the_end(
    running: Engine, rival: str, status: StepStatus, left: list[str]
) -> None:
    registry = running.stores.registry

    def promote_another(event: Event) -> None:
        if isinstance(event, StepBegan):  # its condition was found to hold
            registry.transition_stage("wine", rival, Stage.PRODUCTION, archive_existing=True)

    outcome = running.plan_run(PROMOTE, Heard(promote_another)).carry_out()
    step = outcome.steps["promote"]
    assert (step.status, _in_production(registry)) == (status, left)
    if status is StepStatus.SKIPPED:
        assert step.detail == (
            "another was promoted meanwhile; its condition is not met: champion is none or 0.5 < "
            "champion.metrics.rmse (champion.metrics.rmse = 0.4)"
        )


def test_a_worse_champion_that_came_meanwhile_is_replaced(running: Engine) -> None:
    registry, tracking = running.stores.registry, running.stores.tracking
    run_id = tracking.create_run("0").info.run_id
    tracking.log_batch(run_id, metrics=[Metric("rmse", 0.6, 1, 0)])
    registry.create_model_version("wine", "s3://b/4", run_id=run_id)
    rivals = ["4"]

    def promote_another(event: Event) -> None:
        if isinstance(event, StepBegan) and rivals:
            registry.transition_stage("wine", rivals.pop(), Stage.PRODUCTION, archive_existing=True)

    outcome = running.plan_run(PROMOTE, Heard(promote_another)).carry_out()
    assert outcome.steps["promote"].status is StepStatus.SUCCEEDED
    assert _in_production(registry) == ["3"]
