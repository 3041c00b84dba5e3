"""Databases of MLflow's as they were in its first versions, before most of today's columns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

RUN = "c" * 32

_FIRST = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE experiments (
    experiment_id INTEGER PRIMARY KEY, name VARCHAR(256) NOT NULL UNIQUE,
    artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32)
);
CREATE TABLE runs (
    run_uuid VARCHAR(32) PRIMARY KEY, name VARCHAR(250), source_type VARCHAR(20),
    source_name VARCHAR(500), entry_point_name VARCHAR(50), user_id VARCHAR(256),
    status VARCHAR(20), start_time BIGINT, end_time BIGINT, source_version VARCHAR(50),
    lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200), experiment_id INTEGER
);
CREATE TABLE tags (key VARCHAR(250), value VARCHAR(250), run_uuid VARCHAR(32));
CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32));
CREATE TABLE params (key VARCHAR(250), value VARCHAR(250), run_uuid VARCHAR(32));
INSERT INTO alembic_version VALUES ('451aebb31d03');
INSERT INTO experiments VALUES (0, 'Default', './mlruns/0', 'active'), (5, 'old', './x', 'active');
"""
_RUN = """
INSERT INTO runs VALUES ('{run}', '', 'LOCAL', 'train.py', 'main', 'ann', 'FINISHED',
    1500000000000, 1500000001000, '', 'active', '{artifacts}', 5);
INSERT INTO tags VALUES ('mlflow.runName', 'first try', '{run}');
INSERT INTO metrics VALUES ('auc', 0.5, 1500000000, '{run}'), ('auc', 0.75, 1500000001, '{run}');
INSERT INTO params VALUES ('depth', '3', '{run}');
"""


def write_first_version(path: Path, *more: str) -> None:
    """Write a database of MLflow 0.9 with a run in it; then run these statements."""
    artifacts = path.parent / "mlruns" / "5" / RUN / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "notes.txt").write_text("old")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_FIRST + _RUN.format(run=RUN, artifacts=artifacts))
        connection.executescript(";".join(more))
