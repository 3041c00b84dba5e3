"""Whoever waits for the database keeps nobody else waiting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest

from flowrun.tracking.sql.postgres import open_postgres
from tests.support.postgres import PostgresServer
from tests.support.server_process import server_process
from tests.support.space import Space
from tests.support.waiting import until

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.postgres
def test_a_run_that_somebody_keeps_locked_holds_up_no_other_one(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    uri = postgres.new_store()
    with server_process(Space(tmp_path), "--backend-store-uri", uri) as url:
        client = mlflow.MlflowClient(url)
        locked, free = (client.create_run("0").info.run_id for _ in range(2))
        database = open_postgres(uri)
        with ThreadPoolExecutor(3) as threads:
            with database.write(locked) as connection:
                connection.execute("SELECT 1").fetchone()
                waiting = [
                    threads.submit(client.log_metric, locked, key, 1.0) for key in ("a", "b", "c")
                ]
                until(lambda: postgres.execute(WAITING) == [(3,)])
                for step in range(10):
                    client.log_metric(free, "loss", 1.0, step=step)
                    client.create_run("0")
                assert len(client.get_metric_history(free, "loss")) == 10
                assert not any(each.done() for each in waiting)
            for each in waiting:
                each.result(timeout=20)
        database.close()
        assert set(client.get_run(locked).data.metrics) == {"a", "b", "c"}
