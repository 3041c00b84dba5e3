"""Searches for registered models and versions: filters and orderings to SQL."""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.errors import InvalidValueError
from flowrun.tracking import filters
from flowrun.tracking.filters import Comparison, Entity, Grammar
from flowrun.tracking.sql.query import (
    BEST_ROWS,
    RARE_LENGTH,
    Query,
    QueryParts,
    condition,
    direction,
    filter_by_pair,
)

PROMPT_TAG = "mlflow.prompt.is_prompt"
"""`true` on a registered model that is a prompt. Source: MLflow, IS_PROMPT_TAG_KEY."""

_MODEL_COLUMNS = {
    "name": "registered_models.name",
    "timestamp": "registered_models.last_update_time_ms",
    "last_updated_timestamp": "registered_models.last_update_time_ms",
    "creation_timestamp": "registered_models.creation_time_ms",
}
_VERSION_COLUMNS = {
    "name": "registered_models.name",
    "run_id": "model_versions.run_id",
    "source_path": "model_versions.source",
    "version_number": "model_versions.version",
    "last_updated_timestamp": "model_versions.last_update_time_ms",
    "creation_timestamp": "model_versions.creation_time_ms",
}
_OF_FEW = frozenset({"name", "run_id", "source_path"})
"""What only few versions share: they are found by it, and sorted."""
_VERSION_KEY = ("registered_model_pk", "version")
_NEWEST_FIRST = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")


def models_query(filter_text: str, order_by: Sequence[str]) -> Query:
    """Give the query for registered models; its order ends with the name."""
    parts = QueryParts("registered_models", "registered_model_pk")
    comparisons = filters.comparisons(filters.REGISTERED_MODELS, filter_text)
    for comparison in _without_prompts(parts, comparisons):
        if comparison.entity is Entity.TAG:
            _only_with_tag(parts, comparison)
        else:
            text, values = condition(_MODEL_COLUMNS[comparison.key], comparison)
            parts.only(text, *values)
    _order(parts, filters.REGISTERED_MODELS, order_by, _MODEL_COLUMNS)
    parts.order.append("registered_models.name")
    return parts.query()


def _only_with_tag(parts: QueryParts, comparison: Comparison) -> None:
    """Compare a model's tag, by looking at each model in the order that is asked for.

    There are not so many models; and what many of them have fills a page in no time.
    """
    text, values = condition("tag.value", comparison)
    parts.only(
        "EXISTS (SELECT 1 FROM registered_model_tags tag"
        f" WHERE tag.registered_model_pk = registered_models.registered_model_pk"
        f" AND tag.key = ? AND {text})",
        comparison.key,
        *values,
    )


def versions_query(filter_text: str, order_by: Sequence[str]) -> Query:
    """Give the query for versions, by (registered_model_pk, version); newest change first."""
    comparisons = filters.comparisons(filters.MODEL_VERSIONS, filter_text)
    parts = _version_parts(comparisons, order_by, least_length=1)
    if order_by or parts.is_looked_up:
        return parts.query()
    return parts.query(_among_newest(comparisons))


def _version_parts(
    comparisons: Sequence[Comparison], order_by: Sequence[str], *, least_length: int
) -> QueryParts:
    """Give the parts of a query for versions; for `least_length` see `filter_by_pair`."""
    parts = QueryParts("model_versions", "registered_model_pk, model_versions.version")
    parts.join("JOIN registered_models USING (registered_model_pk)")
    for comparison in _without_prompts(parts, comparisons):
        if comparison.entity is Entity.TAG:
            table = "model_version_tags"
            filter_by_pair(parts, comparison, table, _VERSION_KEY, least_length=least_length)
        else:
            text, values = condition(_VERSION_COLUMNS[comparison.key], comparison)
            parts.only(text, *values)
            is_of_few = comparison.key in _OF_FEW and comparison.operator in {"=", "IN"}
            parts.is_looked_up |= is_of_few
    _order(parts, filters.MODEL_VERSIONS, order_by or _NEWEST_FIRST, _VERSION_COLUMNS)
    parts.order += ["registered_models.name", "model_versions.version DESC"]
    return parts


def _among_newest(comparisons: Sequence[Comparison]) -> Query:
    """Give the same query over the versions that changed last, as many as `BEST_ROWS`.

    What nearly all versions have (a team's name as a tag) is not sorted for a page of the newest.
    What is as old as the last one looked at is left out, since there may be more of it.
    """
    newest = _version_parts(comparisons, (), least_length=RARE_LENGTH)
    newest.only(
        "model_versions.last_update_time_ms > COALESCE((SELECT last_update_time_ms"
        " FROM model_versions ORDER BY last_update_time_ms DESC"
        f" LIMIT 1 OFFSET {BEST_ROWS - 1}), -1)"
    )
    return newest.query(walked=BEST_ROWS)


def _without_prompts(parts: QueryParts, comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Hide prompts, unless the filter asks for them; give the comparisons that are left to do.

    What is no prompt lacks the tag, so `!= 'true'` and `= 'false'` can't be asked of the tag.
    """
    about_prompts = [each for each in comparisons if _is_about_prompts(each)]
    if any(_asks_for_prompts(each) for each in about_prompts):
        return list(comparisons)
    parts.only(
        "NOT EXISTS (SELECT 1 FROM registered_model_tags prompt"
        f" WHERE prompt.registered_model_pk = {parts.table}.registered_model_pk"
        f" AND prompt.key = '{PROMPT_TAG}' AND lower(prompt.value) = 'true')"
    )
    return [each for each in comparisons if each not in about_prompts]


def _is_about_prompts(comparison: Comparison) -> bool:
    return comparison.entity is Entity.TAG and comparison.key == PROMPT_TAG


def _asks_for_prompts(comparison: Comparison) -> bool:
    asked = (comparison.operator, str(comparison.value).lower())
    return asked in {("=", "true"), ("!=", "false")}


def _order(
    parts: QueryParts, grammar: Grammar, order_by: Sequence[str], columns: dict[str, str]
) -> None:
    for ordering in filters.orderings(grammar, order_by):
        if ordering.entity is not Entity.ATTRIBUTE:
            raise InvalidValueError(f"Invalid order_by entity: {ordering.entity.value}")
        way = direction(is_ascending=ordering.is_ascending)
        parts.order.append(f"{columns[ordering.key]} {way}")
