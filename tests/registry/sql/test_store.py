"""The SQL registry keeps the promises of a registry, also for two processes at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from flowrun.registry.entities import Stage
from flowrun.registry.store import RegistryStore
from flowrun.tracking.store import TrackingStore
from tests.contracts.promotion_requests import RequestContract
from tests.contracts.registry_store import RegistryStoreContract, wine  # noqa: F401 - a fixture
from tests.support.stores import registry_store, tracking_store

PROMOTER = """
import sys
from flowrun.registry.entities import Stage
from tests.support.stores import registry_store, tracking_store
uri, version = sys.argv[1:]
with tracking_store(uri) as tracking, registry_store(uri, tracking) as store:
    print("ready", flush=True)
    input()
    for _ in range(20):
        store.promote("wine", version, stage=Stage.PRODUCTION, alias="champion",
                      archive_existing=True, user_id=version, reason="", run_id=None)
"""


@pytest.fixture
def tracking(store_uri: str) -> Iterator[TrackingStore]:
    with tracking_store(store_uri) as store:
        yield store


@pytest.fixture
def store(store_uri: str, tracking: TrackingStore) -> Iterator[RegistryStore]:
    with registry_store(store_uri, tracking) as store:
        yield store


class TestSqlRegistryStore(RegistryStoreContract, RequestContract):
    """Every promise, on each database."""


def test_processes_that_promote_at_once_leave_one_in_production(
    store_uri: str, store: RegistryStore
) -> None:
    store.create_registered_model("wine")
    promoters = []
    for _ in range(2):
        version = store.create_model_version("wine", "s3://b/x").version
        command = [sys.executable, "-c", PROMOTER, store_uri, version]
        promoters.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    for process in promoters:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in promoters:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in promoters:
        process.communicate(timeout=60)
        assert process.returncode == 0

    stages = {each.version: each.stage for each in store.search_model_versions().items}
    assert sorted(stages.values()) == [Stage.ARCHIVED, Stage.PRODUCTION]
    champion = store.get_version_by_alias("wine", "champion")
    assert stages[champion.version] is Stage.PRODUCTION
    history = store.get_history("wine")
    aliases = [each for each in history if each.alias]
    assert len(aliases) == 40
    # Each line begins where the one before ended, whichever process wrote it.
    assert [each.before for each in aliases[1:]] == [each.after for each in aliases[:-1]]
