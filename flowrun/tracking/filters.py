"""MLflow's filter language: what the names in a filter mean, for each noun that can be searched.

A text goes through `filter_syntax.py` and comes out as comparisons that were checked: the noun has
such an attribute, the operator fits it, the value is of its type. The words of the errors are
MLflow's. Source: mlflow/utils/search_utils.py and search_logged_model_utils.py of MLflow 3.17.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from flowrun.errors import InvalidValueError
from flowrun.tracking.filter_syntax import (
    Clause,
    Kind,
    Token,
    parse_filter,
    parse_ordering,
    unquoted,
)
from flowrun.valueclass import valueclass


class Entity(StrEnum):
    """What a comparison is about; the values are MLflow's words."""

    METRIC = "metric"
    PARAM = "parameter"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    DATASET = "dataset"


FilterValue = str | int | float | tuple[str, ...] | None
"""A tuple for IN and NOT IN, None for IS NULL and IS NOT NULL."""


@valueclass
class Comparison:
    """One condition; all conditions of a filter must hold."""

    entity: Entity
    key: str
    operator: str
    value: FilterValue


@valueclass
class Ordering:
    """One key to order by."""

    entity: Entity
    key: str
    is_ascending: bool


NUMERIC_OPERATORS = (">", ">=", "!=", "=", "<", "<=")
STRING_OPERATORS = ("!=", "=", "LIKE", "ILIKE")
LIST_OPERATORS = ("IN", "NOT IN")
NULL_OPERATORS = ("IS NULL", "IS NOT NULL")

DATASET_KEYS = ("name", "digest", "context")


@valueclass
class Grammar:
    """What can be said about one noun."""

    entities: Mapping[str, Entity]
    """Each prefix that may stand before a dot."""
    entities_message: str
    """How MLflow ends its message about a prefix that is none of these."""
    attributes: Collection[str]
    numeric: Collection[str] = ()
    """The attributes that are numbers."""
    listed: Collection[str] = ()
    """The attributes that can be compared with IN."""
    ordered: Collection[str] = ()
    """The attributes that can be ordered by, if not all of `attributes`."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of attributes."""
    has_null_operators: bool = True

    def operators(self, entity: Entity, key: str) -> tuple[str, ...]:
        """Give the operators that fit."""
        match entity:
            case Entity.METRIC:
                return NUMERIC_OPERATORS
            case Entity.PARAM | Entity.TAG:
                return STRING_OPERATORS + (NULL_OPERATORS if self.has_null_operators else ())
            case Entity.DATASET:
                return STRING_OPERATORS + LIST_OPERATORS
            case Entity.ATTRIBUTE if key in self.numeric:
                return NUMERIC_OPERATORS
            case Entity.ATTRIBUTE:
                return STRING_OPERATORS + LIST_OPERATORS


_ATTRIBUTE_PREFIXES = {"attribute": Entity.ATTRIBUTE}
_TAG_PREFIXES = {"tag": Entity.TAG, "tags": Entity.TAG}
_TAGGED = {**_ATTRIBUTE_PREFIXES, **_TAG_PREFIXES}
_TAGGED_MESSAGE = "Valid entity types are ('attribute', 'tag', 'tags')"

RUNS = Grammar(
    entities={
        **_TAGGED,
        **dict.fromkeys(("metric", "metrics"), Entity.METRIC),
        **dict.fromkeys(("parameter", "parameters", "param", "params"), Entity.PARAM),
        **dict.fromkeys(("attr", "attributes", "run"), Entity.ATTRIBUTE),
        **dict.fromkeys(("dataset", "datasets"), Entity.DATASET),
    },
    entities_message="Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
    attributes=(
        "artifact_uri",
        "end_time",
        "run_id",
        "run_name",
        "start_time",
        "status",
        "user_id",
        *("created", "Created", "run name", "Run name", "Run Name"),
    ),
    numeric=("start_time", "end_time"),
    listed=("run_id",),
    aliases={
        **dict.fromkeys(("created", "Created"), "start_time"),
        **dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
    },
)
EXPERIMENTS = Grammar(
    entities=_TAGGED,
    entities_message=_TAGGED_MESSAGE,
    attributes=("creation_time", "experiment_id", "last_update_time", "name"),
    numeric=("creation_time", "last_update_time"),
    listed=("experiment_id",),
)
REGISTERED_MODELS = Grammar(
    entities=_TAGGED,
    entities_message=_TAGGED_MESSAGE,
    attributes=("name",),
    listed=("name",),
    ordered=("creation_timestamp", "last_updated_timestamp", "name", "timestamp"),
    has_null_operators=False,
)
MODEL_VERSIONS = Grammar(
    entities=_TAGGED,
    entities_message=_TAGGED_MESSAGE,
    attributes=("name", "run_id", "source_path", "version_number"),
    numeric=("version_number",),
    listed=("name", "run_id"),
    ordered=("creation_timestamp", "last_updated_timestamp", "name", "version_number"),
    has_null_operators=False,
)
LOGGED_MODELS = Grammar(
    entities={
        "attributes": Entity.ATTRIBUTE,
        "metrics": Entity.METRIC,
        "params": Entity.PARAM,
        "tags": Entity.TAG,
    },
    entities_message="Expected one of ['attributes', 'metrics', 'params', 'tags'].",
    attributes=(
        "creation_time",
        "creation_timestamp",
        "creation_timestamp_ms",
        "experiment_id",
        "last_updated_timestamp",
        "last_updated_timestamp_ms",
        "model_id",
        "model_type",
        "name",
        "source_run_id",
        "status",
    ),
    numeric=("creation_timestamp_ms", "last_updated_timestamp_ms"),
    listed=("experiment_id", "model_id", "model_type", "name", "source_run_id", "status"),
    aliases={
        "creation_time": "creation_timestamp_ms",
        "creation_timestamp": "creation_timestamp_ms",
        "last_updated_timestamp": "last_updated_timestamp_ms",
    },
    has_null_operators=False,
)


def comparisons(grammar: Grammar, text: str) -> list[Comparison]:
    """Give the checked comparisons of a filter; none for an empty one.

    Raises:
        InvalidValueError: MLflow would refuse the filter; the message says why, in its words.
    """
    return [_comparison(grammar, clause) for clause in parse_filter(text)]


def orderings(grammar: Grammar, order_by: Sequence[str]) -> list[Ordering]:
    """Give the checked keys to order by; each at most once."""
    result: list[Ordering] = []
    for text in order_by:
        name, is_ascending = parse_ordering(text)
        entity, key = _identifier(grammar, name, grammar.ordered or grammar.attributes)
        if any((entity, key) == (known.entity, known.key) for known in result):
            raise InvalidValueError(f"`order_by` contains duplicate fields: {list(order_by)}")
        if entity is Entity.DATASET:
            raise InvalidValueError(f"Invalid order_by entity: {entity.value}")
        result.append(Ordering(entity, key, is_ascending))
    return result


def _comparison(grammar: Grammar, clause: Clause) -> Comparison:
    entity, key = _identifier(grammar, clause.name, grammar.attributes)
    operator = clause.operator.upper()
    if clause.value is None:
        if entity not in {Entity.TAG, Entity.PARAM}:
            raise InvalidValueError(
                "IS NULL / IS NOT NULL is only supported for tags and params, "
                f"not for '{entity.value}' '{key}'"
            )
        value = None
    else:
        value = _value(grammar, entity, key, clause.value)
    allowed = grammar.operators(entity, key)
    if operator not in allowed:
        raise InvalidValueError(f"Invalid comparator '{operator}' not one of '{shown(allowed)}'")
    return Comparison(entity, key, operator, value)


def _identifier(grammar: Grammar, name: str, attributes: Collection[str]) -> tuple[Entity, str]:
    prefix, dot, rest = name.partition(".")
    if not dot or prefix[:1] == '"':
        entity, key = Entity.ATTRIBUTE, unquoted(name)
    else:
        prefix = unquoted(prefix)
        if prefix not in grammar.entities:
            raise InvalidValueError(f"Invalid entity type '{prefix}'. {grammar.entities_message}")
        entity, key = grammar.entities[prefix], unquoted(rest)
    if entity is Entity.ATTRIBUTE and key not in attributes:
        raise InvalidValueError(
            f"Invalid attribute key '{key}' specified. Valid keys are '{shown(attributes)}'"
        )
    if entity is Entity.DATASET and key not in DATASET_KEYS:
        raise InvalidValueError(
            f"Invalid dataset key '{key}' specified. Valid keys are '{shown(DATASET_KEYS)}'"
        )
    return entity, grammar.aliases.get(key, key) if entity is Entity.ATTRIBUTE else key


def _value(grammar: Grammar, entity: Entity, key: str, token: Token) -> FilterValue:
    match entity:
        case Entity.METRIC:
            if token.kind is not Kind.NUMBER:
                raise InvalidValueError(
                    f"Expected numeric value type for metric. Found {token.text}"
                )
            return float(token.text)
        case Entity.ATTRIBUTE if key in grammar.numeric:
            return _number(key, token)
        case Entity.PARAM | Entity.TAG:
            return string_value(token, f"{entity.value} (e.g. 'my-value')")
        case Entity.DATASET:
            if token.kind is Kind.LIST:
                return list_value(token)
            return string_value(token, "dataset attributes")
        case Entity.ATTRIBUTE:
            if token.kind is not Kind.LIST:
                return string_value(token, "attributes")
            if key not in grammar.listed:
                raise InvalidValueError(
                    f"Only {sorted(grammar.listed)} attributes support comparison with a list "
                    "of quoted string values."
                )
            return list_value(token)


def _number(key: str, token: Token) -> float:
    if token.kind is not Kind.NUMBER:
        raise InvalidValueError(
            f"Expected numeric value type for numeric attribute: {key}. Found {token.text}"
        )
    try:
        return int(token.text)
    except ValueError:
        return float(token.text)


def string_value(token: Token, what: str) -> str:
    """Give the quoted text that a token is; `what` names in a refusal what it is compared with."""
    if token.kind not in {Kind.STRING, Kind.NAME}:
        raise InvalidValueError(
            f"Expected a quoted string value for {what}. Got value {token.text}"
        )
    if token.text[0] not in "'\"" or token.text[0] != token.text[-1]:
        raise InvalidValueError(
            "Parameter value is either not quoted or unidentified quote types used for string "
            f"value {token.text}. Use either single or double quotes."
        )
    return token.text[1:-1]


def list_value(token: Token) -> tuple[str, ...]:
    """Give the texts of a list in parentheses; there is at least one."""
    what = "While parsing a list in the query, expected"
    try:
        parsed = ast.literal_eval(token.text)
    except (SyntaxError, ValueError):
        raise InvalidValueError(
            f"{what} a non-empty list of string values, but got ill-formed list."
        ) from None
    values = parsed if isinstance(parsed, tuple) else (parsed,)
    if not values:
        raise InvalidValueError(f"{what} a non-empty list of string values, but got empty list")
    if not all(isinstance(value, str) for value in values):
        raise InvalidValueError(
            f"{what} string value, punctuation, or whitespace, "
            f"but got different type in list: {values}"
        )
    return values


def shown(names: Collection[str]) -> str:
    """Give names as MLflow's messages list them."""
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"
