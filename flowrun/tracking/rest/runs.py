"""Runs behind a server, and what is logged to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowrun.tracking.entities import (
    DatasetInput,
    DatasetSummary,
    Metric,
    ModelInput,
    ModelOutput,
    Page,
    Run,
    RunInfo,
    RunStatus,
    ViewType,
)
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.part import RestPart, page_from
from flowrun.tracking.wire import (
    compact,
    dataset_input_json,
    dataset_summary_from,
    metric_from,
    metric_json,
    metrics_from,
    pairs_json,
    run_from,
    run_info_from,
)

_MAX_EXPERIMENTS_OF_DATASETS = 20
"""Source: MLflow's handlers.py, `_search_datasets_handler`."""


class RestRuns(RestPart):
    """The `RunStore` of a server. Source: MLflow REST API, "runs" and "metrics"."""

    def create_run(
        self,
        experiment_id: str,
        *,
        user_id: str = "",
        run_name: str | None = None,
        start_time_ms: int | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Run:
        """Make a RUNNING run in an active experiment; without a name it gets a random one.

        MLflow's call knows no params. A server that ignores them gets them by a second call; it is
        the one thing here that can be there by half, and then the run is RUNNING without them.
        """
        body = {
            "experiment_id": experiment_id,
            "user_id": user_id,
            "run_name": run_name,
            "start_time": self._now() if start_time_ms is None else start_time_ms,
            "tags": pairs_json(tags or {}),
            "params": pairs_json(params or {}),
        }
        run = self._server.send("POST", "runs/create", body, _run, is_repeatable=False)
        if not params or run.params == params:
            return run
        self.log_batch(run.info.run_id, params=params)
        return self.get_run(run.info.run_id)

    def get_run(self, run_id: str) -> Run:
        """Give a run, deleted or not, with everything but its metrics' histories."""
        return self._server.get("runs/get", {"run_id": run_id}, _run)

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time_ms: int | None = None,
        run_name: str | None = None,
    ) -> RunInfo:
        """Change what is given; None leaves a field as it is."""
        body = {
            "run_id": run_id,
            "status": status.value if status else None,
            "end_time": end_time_ms,
            "run_name": run_name,
        }
        return self._server.send("POST", "runs/update", body, _run_info)

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        self._change("runs/delete", {"run_id": run_id})

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""
        self._change("runs/restore", {"run_id": run_id})

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Append metrics, set params (never to another value) and tags, all or nothing."""
        body = {
            "run_id": run_id,
            "metrics": [metric_json(metric) for metric in metrics],
            "params": pairs_json(params or {}),
            "tags": pairs_json(tags or {}),
        }
        # Repeatable: a point, param or tag that is there already changes nothing.
        self._server.do("POST", "runs/log-batch", body)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag; NotFoundError if the run has none of this key."""
        self._change("runs/delete-tag", {"run_id": run_id, "key": key})

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_text: str = "",
        view: ViewType = ViewType.ACTIVE_ONLY,
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Page[Run]:
        """Find runs by MLflow's filter language; default order: newest first, then run id."""
        body = {
            "experiment_ids": list(experiment_ids),
            "filter": filter_text or None,
            "run_view_type": view.value,
            "order_by": list(order_by),
            "max_results": max_results,
            "page_token": page_token,
        }
        return self._server.send("POST", "runs/search", body, page_from("runs", run_from))

    def get_metric_history(
        self,
        run_id: str,
        key: str,
        *,
        max_results: int = 25_000,
        page_token: str | None = None,
    ) -> Page[Metric]:
        """Give all points of one metric by (timestamp, step, value)."""
        query = {
            "run_id": run_id,
            "metric_key": key,
            "max_results": max_results,
            "page_token": page_token,
        }
        return self._server.get("metrics/get-history", query, page_from("metrics", metric_from))

    def sample_metric_history(
        self,
        run_id: str,
        key: str,
        *,
        most: int,
        steps: tuple[int, int] | None = None,
    ) -> Sequence[Metric]:
        """Give points of one metric at even distances by (step, timestamp, value)."""
        query = {
            "run_ids": run_id,
            "metric_key": key,
            "max_results": most,
            "start_step": steps and steps[0],
            "end_step": steps and steps[1],
        }
        return self._server.get(
            "metrics/get-history-bulk-interval",
            query,
            lambda fields: [
                point._replace(run_id=None) for point in metrics_from(fields, "metrics")
            ],
        )

    def log_inputs(
        self,
        run_id: str,
        *,
        datasets: Sequence[DatasetInput] = (),
        models: Sequence[ModelInput] = (),
    ) -> None:
        """Add inputs; a dataset of the same name and digest is stored once for an experiment."""
        body = {
            "run_id": run_id,
            "datasets": [dataset_input_json(item) for item in datasets],
            "models": [{"model_id": item.model_id} for item in models],
        }
        self._server.do("POST", "runs/log-inputs", body)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Add logged models that the run made."""
        outputs = [compact(model_id=item.model_id, step=item.step) for item in models]
        self._server.do("POST", "runs/outputs", {"run_id": run_id, "models": outputs})

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Give what datasets runs of some experiments read, each context once."""
        found: list[DatasetSummary] = []
        for start in range(0, len(experiment_ids), _MAX_EXPERIMENTS_OF_DATASETS):
            some = experiment_ids[start : start + _MAX_EXPERIMENTS_OF_DATASETS]
            # Only here: MLflow declares the path below /api with a mistake in it.
            found += self._server.send(
                "POST",
                "experiments/search-datasets",
                {"experiment_ids": list(some)},
                page_from("dataset_summaries", dataset_summary_from),
                api="/ajax-api/2.0/mlflow/",
            ).items
        return found


def _run(fields: Fields) -> Run:
    return run_from(fields.nested("run"))


def _run_info(fields: Fields) -> RunInfo:
    return run_info_from(fields.nested("run_info"))
