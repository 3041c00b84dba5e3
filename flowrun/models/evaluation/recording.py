"""Puts an evaluation into the run in progress: metrics, tables, pictures, the data's digest."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flowrun.models.evaluation.curves import Chart
from flowrun.models.evaluation.libraries import needed
from flowrun.models.evaluation.plots import can_draw, draw
from flowrun.models.evaluation.result import EvaluationArtifact, plain, write_content
from flowrun.tracking import fluent
from flowrun.tracking.light_http import TrackingError
from flowrun.tracking.light_run import Run

_TABLES_TAG = "mlflow.loggedArtifacts"
_METRICS_OF_A_CALL = 1000


@contextmanager
def run_for_it() -> Iterator[Run]:
    """Give the run in progress, else one that ends with the evaluation."""
    run = fluent.run_in_progress()
    if run is not None:
        yield run
        return
    with fluent.start_run() as own:
        yield own


class Recording:
    """Writes files into a folder and, from there, among the run's artifacts."""

    def __init__(self, run: Run, folder: Path, prefix: str) -> None:
        """Begin.

        Args:
            run: whose artifacts they become.
            folder: where they are written first.
            prefix: before the name of each.
        """
        self._run = run
        self._folder = folder
        self._prefix = prefix
        self.artifacts: dict[str, EvaluationArtifact] = {}

    def put(self, name: str, content: object) -> None:
        """Store what was made, in a file that suits it; see `result.write_content`."""
        self._store(name, write_content(content, self._folder, f"{self._prefix}{name}"))

    def put_rows(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Store rows as a CSV."""
        self.put(name, needed("pandas").DataFrame(list(rows)))

    def put_table(self, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Store columns as MLflow's `log_table` does: JSON that its pages show as a table."""
        rows = [list(row) for row in zip(*columns.values())]
        path = self._folder / f"{self._prefix}{name}.json"
        text = json.dumps({"columns": list(columns), "data": plain(rows)}, default=str)
        path.write_text(text, encoding="utf-8")
        self._store(name, path)
        said = fluent.get_run(self._run.info.run_id).data.tags.get(_TABLES_TAG, "[]")
        entry = {"path": path.name, "type": "table"}
        known: list[object] = json.loads(said)
        if entry not in known:
            fluent.set_tag(_TABLES_TAG, json.dumps([*known, entry]))

    def put_charts(self, charts: Sequence[Chart]) -> None:
        """Store each chart as a table, and as a picture where that can be."""
        is_drawn = can_draw()
        if charts and not is_drawn:
            warnings.warn(
                "matplotlib is not installed here: plots are left out, their data are kept "
                "(pip install matplotlib)",
                stacklevel=2,
            )
        for chart in charts:
            self.put_rows(chart.name.replace("_plot", "") + "_data", chart.rows())
            if is_drawn:
                path = self._folder / f"{self._prefix}{chart.name}.png"
                draw(chart, path)
                self._store(chart.name, path)

    def _store(self, name: str, path: Path) -> None:
        fluent.log_artifact(path)
        uri = f"{self._run.info.artifact_uri.rstrip('/')}/{path.name}"
        self.artifacts[name] = EvaluationArtifact(uri, path)


def log_metrics(
    run: Run, metrics: Mapping[str, float], model_id: str | None, name: str, digest: str
) -> None:
    """Log metrics; with those of a logged model goes which data they are of.

    Args:
        run: whose they are.
        metrics: by name.
        model_id: the model that was evaluated; None: none that the server knows.
        name: of the data.
        digest: of the data.
    """
    if model_id is None:
        fluent.log_metrics(metrics)
        return
    session = fluent.current_session()
    session.flush()
    now_ms = time.time_ns() // 1_000_000
    points = [
        {
            "key": key,
            "value": value,
            "timestamp": now_ms,
            "step": 0,
            "model_id": model_id,
            "dataset_name": name,
            "dataset_digest": digest,
        }
        for key, value in metrics.items()
    ]
    for start in range(0, len(points), _METRICS_OF_A_CALL):
        body = {"run_id": run.info.run_id, "metrics": points[start : start + _METRICS_OF_A_CALL]}
        session.http().call("POST", "runs/log-batch", body)


def known_model(model_id: str | None) -> str | None:
    """Give the id back if the server has such a logged model; a copy of another's has none."""
    if model_id is None:
        return None
    try:
        fluent.current_session().http().call("GET", f"logged-models/{model_id}")
    except TrackingError:
        return None
    return model_id
