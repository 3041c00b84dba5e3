"""Reading what was logged to runs: a fixed number of statements, however many the runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowrun.tracking.entities import Dataset, DatasetInput, Metric, ModelInput, ModelOutput
from flowrun.tracking.sql.database import Connection
from flowrun.tracking.sql.part import marks


@dataclass
class RunContents:
    """What belongs to some runs; each mapping goes from a run's `run_pk`."""

    params: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    metrics: dict[int, dict[str, Metric]] = field(default_factory=lambda: defaultdict(dict))
    tags: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    datasets: dict[int, list[DatasetInput]] = field(default_factory=lambda: defaultdict(list))
    model_inputs: dict[int, list[ModelInput]] = field(default_factory=lambda: defaultdict(list))
    model_outputs: dict[int, list[ModelOutput]] = field(default_factory=lambda: defaultdict(list))


def read_contents(connection: Connection, run_pks: Sequence[int]) -> RunContents:
    """Give everything but the metrics' histories of at most a few hundred runs."""
    return _read(connection, f"IN ({marks(run_pks)})", run_pks)


def read_contents_of(connection: Connection, run_id: str) -> RunContents:
    """Give the same of one run, which need not be read before."""
    return _read(connection, "= (SELECT run_pk FROM runs WHERE run_id = ?)", (run_id,))


def _read(connection: Connection, which: str, values: Sequence[int | str]) -> RunContents:
    contents = RunContents()
    among = f"WHERE run_pk {which}"
    # All are asked for before the first is read: PostgreSQL gets them in one message.
    params = connection.execute(f"SELECT run_pk, key, value FROM params {among}", values)
    tags = connection.execute(f"SELECT run_pk, key, value FROM tags {among}", values)
    metrics = connection.execute(
        f"SELECT run_pk, key, value, timestamp_ms, step, is_nan FROM latest_metrics {among}",
        values,
    )
    models = connection.execute(
        f"SELECT run_pk, direction, model_id, step FROM run_models {among} ORDER BY run_pk, step",
        values,
    )
    datasets = connection.execute(
        "SELECT run_pk, dataset_pk, name, digest, source_type, source,"
        " dataset_schema, dataset_profile"
        f" FROM run_datasets JOIN datasets USING (dataset_pk) {among} ORDER BY run_pk, dataset_pk",
        values,
    )
    for run_pk, key, value in params:
        contents.params[run_pk][key] = value
    for run_pk, key, value in tags:
        contents.tags[run_pk][key] = value
    for run_pk, key, value, timestamp_ms, step, is_nan in metrics:
        number = float("nan") if is_nan else value
        contents.metrics[run_pk][key] = Metric(key, number, timestamp_ms, step)
    for run_pk, direction, model_id, step in models:
        if direction == "input":
            contents.model_inputs[run_pk].append(ModelInput(model_id))
        else:
            contents.model_outputs[run_pk].append(ModelOutput(model_id, step))
    stored = datasets.fetchall()
    dataset_tags = _dataset_tags(connection, among, values) if stored else {}
    for run_pk, dataset_pk, *columns in stored:
        given = DatasetInput(Dataset(*columns), dataset_tags.get((run_pk, dataset_pk), {}))
        contents.datasets[run_pk].append(given)
    return contents


def _dataset_tags(
    connection: Connection, among: str, values: Sequence[int | str]
) -> dict[tuple[int, int], dict[str, str]]:
    """Give the tags of runs' datasets, by run and dataset."""
    tags: defaultdict[tuple[int, int], dict[str, str]] = defaultdict(dict)
    for run_pk, dataset_pk, key, value in connection.execute(
        f"SELECT run_pk, dataset_pk, key, value FROM run_dataset_tags {among}",
        values,
    ):
        tags[run_pk, dataset_pk][key] = value
    return tags
