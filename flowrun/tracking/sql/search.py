"""Searches for experiments, runs and logged models: filters and orderings to SQL.

A comparison with a metric, param or tag becomes a join: what lacks it is left out, also for `!=`,
as in MLflow. The planner then starts from whichever index is the most selective.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.errors import InvalidValueError
from flowrun.tracking import checks, filters
from flowrun.tracking.entities import LifecycleStage, ViewType
from flowrun.tracking.filters import Comparison, Entity, Ordering
from flowrun.tracking.sql.part import marks
from flowrun.tracking.sql.query import (
    BEST_ROWS,
    MORE_ROWS,
    Query,
    QueryParts,
    condition,
    direction,
    filter_by_pair,
)

_RUN_COLUMNS = {"start_time": "start_time_ms", "end_time": "end_time_ms"}
_EXPERIMENT_COLUMNS = {
    "creation_time": "creation_time_ms",
    "last_update_time": "last_update_time_ms",
}
_MODEL_COLUMNS = {
    "creation_timestamp_ms": "creation_time_ms",
    "last_updated_timestamp_ms": "last_update_time_ms",
}
_STAGES = {
    ViewType.ACTIVE_ONLY: (LifecycleStage.ACTIVE,),
    ViewType.DELETED_ONLY: (LifecycleStage.DELETED,),
    ViewType.ALL: (LifecycleStage.ACTIVE, LifecycleStage.DELETED),
}
CONTEXT_TAG = "mlflow.data.context"
"""Of a dataset that a run read: what for. Source: MLflow, MLFLOW_DATASET_CONTEXT."""


def runs_query(
    experiment_ids: Sequence[int], view: ViewType, filter_text: str, order_by: Sequence[str]
) -> Query:
    """Give the query for runs; its order ends with the newest first, then by run id."""
    parts = QueryParts("runs", "run_pk")
    metrics: dict[str, str] = {}
    for comparison in filters.comparisons(filters.RUNS, filter_text):
        _filter_run(parts, comparison, metrics)
    # The plus hides the column from the index of all runs by time, which SQLite, having no
    # statistics, would rather walk through than sort the few runs of a lookup.
    column = "+runs.experiment_id" if parts.is_looked_up else "runs.experiment_id"
    parts.only(f"{column} IN ({marks(experiment_ids)})", *experiment_ids)
    _only_stages(parts, "runs", view)
    orderings = filters.orderings(filters.RUNS, order_by)
    among_best = _among_best(parts, orderings, metrics)
    _order_runs(parts, orderings, metrics)
    return parts.query(*among_best)


def experiments_query(view: ViewType, filter_text: str, order_by: Sequence[str]) -> Query:
    """Give the query for experiments; default order: newest first."""
    parts = QueryParts("experiments", "experiment_id")
    for comparison in filters.comparisons(filters.EXPERIMENTS, filter_text):
        if comparison.entity is Entity.TAG:
            filter_by_pair(parts, comparison, "experiment_tags", ("experiment_id",))
        else:
            _filter_experiment(parts, comparison)
    _only_stages(parts, "experiments", view)
    wanted = order_by or ("creation_time DESC", "experiment_id ASC")
    for ordering in filters.orderings(filters.EXPERIMENTS, wanted):
        if ordering.entity is not Entity.ATTRIBUTE:
            raise InvalidValueError(f"Invalid order_by entity: {ordering.entity.value}")
        column = _EXPERIMENT_COLUMNS.get(ordering.key, ordering.key)
        parts.order.append(f"experiments.{column} {direction(is_ascending=ordering.is_ascending)}")
    parts.order.append("experiments.experiment_id DESC")
    return parts.query()


def logged_models_query(
    experiment_ids: Sequence[int],
    filter_text: str,
    datasets: Sequence[tuple[str, str | None]],
    order_by: Sequence[tuple[str, bool]],
) -> Query:
    """Give the query for logged models; its order ends with the newest first, then by id."""
    parts = QueryParts("logged_models", "model_id")
    comparisons = filters.comparisons(filters.LOGGED_MODELS, filter_text)
    for comparison in comparisons:
        _filter_model(parts, comparison, datasets)
    if datasets and all(each.entity is not Entity.METRIC for each in comparisons):
        _has_model_metric(parts, [], [], datasets)
    parts.only(f"logged_models.experiment_id IN ({marks(experiment_ids)})", *experiment_ids)
    parts.only("logged_models.lifecycle_stage = 'active'")
    for name, is_ascending in order_by:
        _order_model(parts, name, is_ascending=is_ascending)
    parts.order += ["logged_models.creation_time_ms DESC", "logged_models.model_id"]
    return parts.query()


def _only_stages(parts: QueryParts, table: str, view: ViewType) -> None:
    stages = _STAGES[view]
    parts.only(f"{table}.lifecycle_stage IN ({marks(stages)})", *stages)


def _among_best(
    parts: QueryParts, orderings: Sequence[Ordering], metrics: dict[str, str]
) -> list[Query]:
    """Give queries over the runs that are best by a metric, if that is what they are ordered by.

    A metric that is filtered by has that way already, by the index that the filter uses.
    """
    if not orderings or orderings[0].entity is not Entity.METRIC or parts.is_looked_up:
        return []
    first, *others = orderings
    if first.key in metrics:
        return []
    best = parts.copy()
    way = direction(is_ascending=first.is_ascending)
    best.order.append(f"best.value {way}")
    _order_runs(best, others, metrics)
    return [
        best.query_among_best("latest_metrics", first.key, way, walked)
        for walked in (BEST_ROWS, MORE_ROWS)
    ]


def _order_runs(parts: QueryParts, orderings: Sequence[Ordering], metrics: dict[str, str]) -> None:
    for ordering in orderings:
        _order_run(parts, ordering, metrics)
    if Entity.ATTRIBUTE not in {each.entity for each in orderings if each.key == "start_time"}:
        parts.order.append("runs.start_time_ms DESC")
    parts.order.append("runs.run_id")


def _filter_run(parts: QueryParts, comparison: Comparison, metrics: dict[str, str]) -> None:
    match comparison.entity:
        case Entity.METRIC:
            _filter_run_by_metric(parts, comparison, metrics)
        case Entity.PARAM:
            filter_by_pair(parts, comparison, "params", ("run_pk",))
        case Entity.TAG:
            filter_by_pair(parts, comparison, "tags", ("run_pk",))
        case Entity.DATASET:
            _filter_run_by_dataset(parts, comparison)
        case Entity.ATTRIBUTE:
            column = _RUN_COLUMNS.get(comparison.key, comparison.key)
            text, values = condition(f"runs.{column}", comparison)
            parts.only(text, *values)
            parts.is_looked_up |= column == "run_id" and comparison.operator in {"=", "IN"}


def _filter_run_by_metric(
    parts: QueryParts, comparison: Comparison, metrics: dict[str, str]
) -> None:
    """Join a metric; `metrics` remembers those that are numbers, which then order by an index."""
    alias = parts.next_alias()
    text, values = condition(f"{alias}.value", comparison)
    if comparison.operator == "!=":
        # A nan is kept as 0 with a flag. It differs from every number and is no other comparison.
        text = f"({text} OR {alias}.is_nan = 1)"
    else:
        text = f"{text} AND {alias}.is_nan = 0"
        metrics.setdefault(comparison.key, alias)
    parts.join(
        f"JOIN latest_metrics {alias} ON {alias}.run_pk = runs.run_pk"
        f" AND {alias}.key = ? AND {text}",
        comparison.key,
        *values,
    )


def _filter_run_by_dataset(parts: QueryParts, comparison: Comparison) -> None:
    if comparison.key == "context":
        text, values = condition("value", comparison)
        parts.only(
            "EXISTS (SELECT 1 FROM run_dataset_tags"
            f" WHERE run_pk = runs.run_pk AND key = '{CONTEXT_TAG}' AND {text})",
            *values,
        )
        return
    text, values = condition(f"datasets.{comparison.key}", comparison)
    parts.only(
        "EXISTS (SELECT 1 FROM run_datasets JOIN datasets USING (dataset_pk)"
        f" WHERE run_pk = runs.run_pk AND {text})",
        *values,
    )


def _order_run(parts: QueryParts, ordering: Ordering, metrics: dict[str, str]) -> None:
    way = direction(is_ascending=ordering.is_ascending)
    match ordering.entity:
        case Entity.METRIC if ordering.key in metrics:
            parts.order.append(f"{metrics[ordering.key]}.value {way}")
        case Entity.METRIC:
            alias = _join_for_order(parts, "latest_metrics", ordering.key)
            # Numbers, then nan, then runs without the metric: in both directions.
            parts.order.append(
                f"CASE WHEN {alias}.value IS NULL THEN 2 ELSE {alias}.is_nan END,"
                f" {alias}.value {way}"
            )
        case Entity.PARAM | Entity.TAG:
            table = "params" if ordering.entity is Entity.PARAM else "tags"
            alias = _join_for_order(parts, table, ordering.key)
            parts.order.append(f"{alias}.value IS NULL, {alias}.value {way}")
        case _:
            column = f"runs.{_RUN_COLUMNS.get(ordering.key, ordering.key)}"
            if ordering.key == "end_time":
                parts.order.append(f"{column} IS NULL")
            parts.order.append(f"{column} {way}")


def _join_for_order(parts: QueryParts, table: str, key: str) -> str:
    alias = parts.next_alias()
    parts.join(
        f"LEFT JOIN {table} {alias} ON {alias}.run_pk = runs.run_pk AND {alias}.key = ?", key
    )
    return alias


def _filter_experiment(parts: QueryParts, comparison: Comparison) -> None:
    column = f"experiments.{_EXPERIMENT_COLUMNS.get(comparison.key, comparison.key)}"
    text, values = condition(column, comparison)
    if comparison.key == "experiment_id":
        if comparison.operator not in {"=", "!=", "IN", "NOT IN"}:
            raise InvalidValueError(f"Invalid comparator for experiment_id: {comparison.operator}")
        values = tuple(checks.parse_experiment_id(str(value)) for value in values)
    parts.only(text, *values)


def _filter_model(
    parts: QueryParts, comparison: Comparison, datasets: Sequence[tuple[str, str | None]]
) -> None:
    match comparison.entity:
        case Entity.METRIC:
            text, values = condition("value", comparison)
            nan = "OR is_nan = 1" if comparison.operator == "!=" else "AND is_nan = 0"
            _has_model_metric(
                parts, ["key = ?", f"({text} {nan})"], [comparison.key, *values], datasets
            )
        case Entity.PARAM:
            filter_by_pair(parts, comparison, "logged_model_params", ("model_id",))
        case Entity.TAG:
            filter_by_pair(parts, comparison, "logged_model_tags", ("model_id",))
        case _:
            column = f"logged_models.{_MODEL_COLUMNS.get(comparison.key, comparison.key)}"
            text, values = condition(column, comparison)
            if comparison.key == "experiment_id":
                values = tuple(checks.parse_experiment_id(str(value)) for value in values)
            parts.only(text, *values)


def _has_model_metric(
    parts: QueryParts,
    conditions: Sequence[str],
    values: Sequence[str | int | float],
    datasets: Sequence[tuple[str, str | None]],
) -> None:
    """Keep models that have a metric as told, on one of the datasets if there are any."""
    on_datasets = []
    bound = list(values)
    for name, digest in datasets:
        on_datasets.append("dataset_name = ?" + (" AND dataset_digest = ?" if digest else ""))
        bound += [name, digest] if digest else [name]
    both = [*conditions, *([f"({' OR '.join(on_datasets)})"] if on_datasets else [])]
    parts.only(
        "logged_models.model_id IN (SELECT model_id FROM logged_model_metrics"
        f" WHERE {' AND '.join(both)})",
        *bound,
    )


def _order_model(parts: QueryParts, name: str, *, is_ascending: bool) -> None:
    way = direction(is_ascending=is_ascending)
    prefix, dot, key = name.partition(".")
    if dot and prefix != "metrics":
        raise InvalidValueError(f"Invalid order by field name: {name}. Only metrics are supported.")
    if dot:
        alias = parts.next_alias()
        parts.join(
            f"LEFT JOIN (SELECT model_id, value, is_nan, ROW_NUMBER() OVER (PARTITION BY model_id"
            " ORDER BY timestamp_ms DESC, step DESC, run_id) AS place"
            f" FROM logged_model_metrics WHERE key = ?) {alias}"
            f" ON {alias}.model_id = logged_models.model_id AND {alias}.place = 1",
            key,
        )
        parts.order.append(
            f"CASE WHEN {alias}.value IS NULL THEN 2 ELSE {alias}.is_nan END, {alias}.value {way}"
        )
        return
    attribute = filters.LOGGED_MODELS.aliases.get(name, name)
    if attribute not in filters.LOGGED_MODELS.attributes:
        raise InvalidValueError(f"Invalid order by field name: {name}")
    column = f"logged_models.{_MODEL_COLUMNS.get(attribute, attribute)}"
    parts.order.append(f"{column} IS NULL, {column} {way}")
