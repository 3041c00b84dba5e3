"""MLflow's filter language: what is understood, what is refused, and that SQL finds the same."""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, assert_never

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.errors import InvalidValueError
from flowrun.tracking.entities import Dataset, DatasetInput, Metric, Run, RunStatus
from flowrun.tracking.filters import (
    EXPERIMENTS,
    LOGGED_MODELS,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    Comparison,
    Entity,
    Grammar,
    Ordering,
    comparisons,
    orderings,
)
from tests.support.stores import tracking_store

UNDERSTOOD: dict[str, tuple[Grammar, str, list[Comparison]]] = {
    "empty": (RUNS, "", []),
    "blank": (RUNS, "  ", []),
    "metric": (RUNS, "metrics.rmse<0.5", [Comparison(Entity.METRIC, "rmse", "<", 0.5)]),
    "negative": (RUNS, "metric.a >= -1.5e3", [Comparison(Entity.METRIC, "a", ">=", -1500.0)]),
    "dots in a key": (RUNS, "metrics.a.b.c = 1", [Comparison(Entity.METRIC, "a.b.c", "=", 1.0)]),
    "backticks": (RUNS, "params.`a b/c` = 'x'", [Comparison(Entity.PARAM, "a b/c", "=", "x")]),
    "double quotes": (RUNS, 'params."a-b" = "x"', [Comparison(Entity.PARAM, "a-b", "=", "x")]),
    "and within a value": (
        RUNS,
        "tags.a = 'x AND y' and tags.b != 'or'",
        [Comparison(Entity.TAG, "a", "=", "x AND y"), Comparison(Entity.TAG, "b", "!=", "or")],
    ),
    "like in lower case": (RUNS, "tag.a like '%x'", [Comparison(Entity.TAG, "a", "LIKE", "%x")]),
    "is null": (RUNS, "tags.a is  NULL", [Comparison(Entity.TAG, "a", "IS NULL", None)]),
    "not null": (RUNS, "param.a IS NOT NULL", [Comparison(Entity.PARAM, "a", "IS NOT NULL", None)]),
    "bare attribute": (RUNS, "status = 'X'", [Comparison(Entity.ATTRIBUTE, "status", "=", "X")]),
    "created": (RUNS, "Created > 1", [Comparison(Entity.ATTRIBUTE, "start_time", ">", 1)]),
    "run name": (
        RUNS,
        "attributes.`Run Name` = 'x'",
        [Comparison(Entity.ATTRIBUTE, "run_name", "=", "x")],
    ),
    "list": (
        RUNS,
        "run_id NOT IN ('a', \"b\")",
        [Comparison(Entity.ATTRIBUTE, "run_id", "NOT IN", ("a", "b"))],
    ),
    "list of one": (
        RUNS,
        "dataset.digest IN ('a')",
        [Comparison(Entity.DATASET, "digest", "IN", ("a",))],
    ),
    "parenthesis within a list": (
        EXPERIMENTS,
        "experiment_id IN ('(1)')",
        [Comparison(Entity.ATTRIBUTE, "experiment_id", "IN", ("(1)",))],
    ),
    "model": (
        LOGGED_MODELS,
        "creation_time > 5 AND name = 'x'",
        [
            Comparison(Entity.ATTRIBUTE, "creation_timestamp_ms", ">", 5),
            Comparison(Entity.ATTRIBUTE, "name", "=", "x"),
        ],
    ),
    "version": (
        MODEL_VERSIONS,
        "version_number >= 2",
        [Comparison(Entity.ATTRIBUTE, "version_number", ">=", 2)],
    ),
}


@pytest.mark.parametrize(("grammar", "text", "expected"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_filter_is_understood(grammar: Grammar, text: str, expected: list[Comparison]) -> None:
    assert comparisons(grammar, text) == expected


MISFIT = "Invalid clause(s) in filter string: "
UNQUOTED = (
    "Parameter value is either not quoted or unidentified quote types used for string value {}. "
    "Use either single or double quotes."
)
REFUSED: dict[str, tuple[Grammar, str, str]] = {
    "or": (RUNS, "metrics.a > 1 OR metrics.b > 1", f"{MISFIT}'OR'"),
    "parentheses": (RUNS, "(metrics.a > 1)", f"{MISFIT}'(metrics.a > 1)'"),
    "not": (RUNS, "NOT metrics.a > 1", f"{MISFIT}'NOT'"),
    "keyword as a name": (RUNS, "or = 'x'", f"{MISFIT}'or'"),
    "no value": (RUNS, "metrics.a >", f"{MISFIT}'metrics.a'"),
    "only a name": (RUNS, "metrics.a", f"{MISFIT}'metrics.a'"),
    "trailing and": (RUNS, "metrics.a > 1 AND", f"{MISFIT}'AND'"),
    "no and": (RUNS, "metrics.a > 1 metrics.b > 1", f"{MISFIT}'metrics.b'"),
    "open quote": (RUNS, "tags.a = 'x", f"{MISFIT}'tags.a'"),
    "in without list": (RUNS, "run_id IN 'x'", f"{MISFIT}'run_id'"),
    "two statements": (
        RUNS,
        "metrics.a > 1; DROP TABLE runs",
        "Search filter contained multiple expression 'metrics.a > 1; DROP TABLE runs'. "
        "Provide AND-ed expression list.",
    ),
    "value first": (
        RUNS,
        "1 < metrics.a",
        "Invalid comparison clause. Expected 'Identifier' found '1'",
    ),
    "unknown entity": (
        RUNS,
        "metricz.a > 1",
        "Invalid entity type 'metricz'. "
        "Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
    ),
    "unknown entity of an experiment": (
        EXPERIMENTS,
        "metrics.a > 1",
        "Invalid entity type 'metrics'. Valid entity types are ('attribute', 'tag', 'tags')",
    ),
    "unknown attribute": (
        EXPERIMENTS,
        "nme = 'x'",
        "Invalid attribute key 'nme' specified. Valid keys are "
        "'{'creation_time', 'experiment_id', 'last_update_time', 'name'}'",
    ),
    "unknown dataset key": (
        RUNS,
        "dataset.size = 'x'",
        "Invalid dataset key 'size' specified. Valid keys are '{'context', 'digest', 'name'}'",
    ),
    "metric as text": (
        RUNS,
        "metrics.a > '1'",
        "Expected numeric value type for metric. Found '1'",
    ),
    "param as number": (
        RUNS,
        "params.a = 1",
        "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 1",
    ),
    "param unquoted": (RUNS, "params.a = x", UNQUOTED.format("x")),
    "param in backticks": (RUNS, "params.a = `x`", UNQUOTED.format("`x`")),
    "time as text": (
        RUNS,
        "start_time > '1'",
        "Expected numeric value type for numeric attribute: start_time. Found '1'",
    ),
    "status as number": (
        RUNS,
        "status = 1",
        "Expected a quoted string value for attributes. Got value 1",
    ),
    "metric like": (
        RUNS,
        "metrics.a LIKE 1",
        "Invalid comparator 'LIKE' not one of '{'!=', '<', '<=', '=', '>', '>='}'",
    ),
    "tag larger": (
        RUNS,
        "tags.a > 'x'",
        "Invalid comparator '>' not one of "
        "'{'!=', '=', 'ILIKE', 'IS NOT NULL', 'IS NULL', 'LIKE'}'",
    ),
    "two equals": (
        RUNS,
        "metrics.a == 1",
        "Invalid comparator '==' not one of '{'!=', '<', '<=', '=', '>', '>='}'",
    ),
    "metric is null": (
        RUNS,
        "metrics.a IS NULL",
        "IS NULL / IS NOT NULL is only supported for tags and params, not for 'metric' 'a'",
    ),
    "list of a plain attribute": (
        RUNS,
        "status IN ('x')",
        "Only ['run_id'] attributes support comparison with a list of quoted string values.",
    ),
    "empty list": (
        RUNS,
        "run_id IN ()",
        "While parsing a list in the query, expected a non-empty list of string values, "
        "but got empty list",
    ),
    "list of numbers": (
        RUNS,
        "run_id IN (1, 2)",
        "While parsing a list in the query, expected string value, punctuation, or whitespace, "
        "but got different type in list: (1, 2)",
    ),
    "ill-formed list": (
        RUNS,
        "run_id IN ('a' 1)",
        "While parsing a list in the query, expected a non-empty list of string values, "
        "but got ill-formed list.",
    ),
    "model's null": (
        REGISTERED_MODELS,
        "tags.a IS NULL",
        "Invalid comparator 'IS NULL' not one of '{'!=', '=', 'ILIKE', 'LIKE'}'",
    ),
}


@pytest.mark.parametrize(("grammar", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_filter_is_refused(grammar: Grammar, text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        comparisons(grammar, text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.a", Ordering(Entity.METRIC, "a", is_ascending=True)),
        ("metrics.`a b` DESC", Ordering(Entity.METRIC, "a b", is_ascending=False)),
        ('params."x" desc', Ordering(Entity.PARAM, "x", is_ascending=False)),
        ("start_time ASC", Ordering(Entity.ATTRIBUTE, "start_time", is_ascending=True)),
        ("attr.Created", Ordering(Entity.ATTRIBUTE, "start_time", is_ascending=True)),
    ],
)
def test_ordering_is_understood(text: str, expected: Ordering) -> None:
    assert orderings(RUNS, [text]) == [expected]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Invalid order_by clause ''. Could not be parsed."),
        ("metrics.a 1", "Invalid order_by clause 'metrics.a 1'. Could not be parsed."),
        ("metrics.a up", "Invalid ordering key in order_by clause 'metrics.a up'."),
        ("metrics.a desc x", "Invalid order_by clause 'metrics.a desc x'. Could not be parsed."),
        ("dataset.name", "Invalid order_by entity: dataset"),
    ],
)
def test_ordering_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        orderings(RUNS, [text])
    assert str(error.value) == message


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["metrics.", "'a'", ">", "1", "AND", "(", ")", "`", '"', ";"]))
)
def test_any_text_is_understood_or_refused(text: str | list[str]) -> None:
    try:
        comparisons(RUNS, text if isinstance(text, str) else " ".join(text))
    except InvalidValueError:
        return


VALUES = st.sampled_from(["", "a", "A", "ab", "b%", "_", "é", "x" * 200])
NUMBERS = st.sampled_from([-1.5, 0.0, 1.0, 2.0, 1e300, math.nan, math.inf])
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "metrics": st.dictionaries(st.sampled_from("mn"), NUMBERS),
        "params": st.dictionaries(st.sampled_from("pq"), VALUES),
        "tags": st.dictionaries(st.sampled_from("tu"), VALUES),
        # Each is digest and context.
        "datasets": st.dictionaries(
            st.sampled_from(["wine", "Beer"]), st.tuples(st.sampled_from("de"), VALUES)
        ),
    },
)
NAMES = ["wine", "Beer", "a", "ab", "d", ""]
COMPARISONS = st.one_of(
    st.builds(
        Comparison,
        st.just(Entity.METRIC),
        st.sampled_from("mn"),
        st.sampled_from([">", ">=", "!=", "=", "<", "<="]),
        st.sampled_from([-1.5, 0.0, 1.0, 1e300]),
    ),
    *(
        st.builds(
            Comparison,
            st.just(entity),
            st.sampled_from(keys),
            st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
            st.sampled_from(["", "a", "A%", "%b%", "_", "x" * 200]),
        )
        for entity, keys in ((Entity.PARAM, "pq"), (Entity.TAG, "tu"))
    ),
    st.builds(
        Comparison,
        st.sampled_from([Entity.PARAM, Entity.TAG]),
        st.sampled_from("pt"),
        st.sampled_from(["IS NULL", "IS NOT NULL"]),
        st.none(),
    ),
    st.builds(
        Comparison,
        st.just(Entity.ATTRIBUTE),
        st.sampled_from(["start_time", "end_time"]),
        st.sampled_from([">", ">=", "!=", "=", "<", "<="]),
        st.sampled_from([1, 2]),
    ),
    st.builds(
        Comparison,
        st.just(Entity.ATTRIBUTE),
        st.sampled_from(["run_name", "status", "user_id"]),
        st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
        st.sampled_from(["a", "A%", "RUNNING", "finished", "%"]),
    ),
    st.builds(
        Comparison,
        st.just(Entity.DATASET),
        st.sampled_from(["name", "digest", "context"]),
        st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
        st.sampled_from(["wine", "b%", "d", "a", "%"]),
    ),
    st.builds(
        Comparison,
        st.just(Entity.DATASET),
        st.sampled_from(["name", "digest", "context"]),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple),
    ),
)
FILTERS = st.lists(COMPARISONS, max_size=3)
ORDERS = st.lists(
    st.sampled_from(
        [
            *("metrics.m", "metrics.n DESC", "params.p DESC", "tags.t"),
            *("start_time", "end_time DESC", "attributes.status", "run_name DESC"),
        ]
    ),
    max_size=2,
    unique=True,
)
PREFIX = {
    Entity.METRIC: "metrics",
    Entity.PARAM: "params",
    Entity.TAG: "tags",
    Entity.ATTRIBUTE: "attributes",
    Entity.DATASET: "datasets",
}
OPERATORS: dict[str, Callable[[float | str, float | str], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}


def written(comparison: Comparison) -> str:
    name = f"{PREFIX[comparison.entity]}.{comparison.key}"
    if comparison.value is None:
        return f"{name} {comparison.operator}"
    value = comparison.value
    if isinstance(value, tuple):
        return f"{name} {comparison.operator} ({', '.join(map(repr, value))})"
    return f"{name} {comparison.operator} {repr(value) if isinstance(value, str) else value}"


def values_of(entity: Entity, key: str, run: Run) -> list[float | str]:
    """Give what a run has under a name: at most one value, but of several datasets."""
    match entity:
        case Entity.METRIC:
            return [run.metrics[key].value] if key in run.metrics else []
        case Entity.PARAM:
            return [run.params[key]] if key in run.params else []
        case Entity.TAG:
            return [run.tags[key]] if key in run.tags else []
        case Entity.ATTRIBUTE:
            value = getattr(run.info, f"{key}_ms" if key.endswith("_time") else key)
            return [] if value is None else [value]
        case Entity.DATASET if key == "context":
            given = [item.tags.get("mlflow.data.context") for item in run.dataset_inputs]
            return [value for value in given if value is not None]
        case Entity.DATASET:
            return [getattr(item.dataset, key) for item in run.dataset_inputs]
        case unknown:
            assert_never(unknown)


def holds(comparison: Comparison, run: Run) -> bool:
    """Tell what a naive reader of the language would."""
    found = values_of(comparison.entity, comparison.key, run)
    if comparison.value is None:
        return (found == []) == (comparison.operator == "IS NULL")
    return any(fits(comparison.operator, value, comparison.value) for value in found)


def fits(name: str, found: float | str, value: float | str | tuple[str, ...]) -> bool:
    if isinstance(value, tuple):
        return (found in value) == (name == "IN")
    if name in OPERATORS:
        return OPERATORS[name](found, value)
    pattern = re.escape(str(value)).replace("%", ".*").replace("_", ".")
    flags = re.IGNORECASE if name == "ILIKE" else re.NOFLAG
    return re.fullmatch(pattern, str(found), flags | re.DOTALL) is not None


def place(run: Run, ordering: Ordering) -> tuple[int, float | str]:
    """Give what a run is sorted by: numbers, then nan, then nothing, in both directions."""
    if ordering.entity is Entity.METRIC:
        metric = run.metrics.get(ordering.key)
        if metric is None or math.isnan(metric.value):
            return (2 if metric is None else 1, 0)
        return 0, metric.value if ordering.is_ascending else -metric.value
    found = values_of(ordering.entity, ordering.key, run)
    return (0, found[0]) if found else (1, "")


def in_order(runs: list[Run], order_by: list[str]) -> list[str]:
    """Sort as MLflow's own file store does: by the last key first."""
    runs = sorted(runs, key=lambda run: (-run.info.start_time_ms, run.info.run_id))
    for ordering in reversed(orderings(RUNS, order_by)):
        placed = [(place(run, ordering), run) for run in runs]
        with_value = [each for each in placed if each[0][0] == 0]
        without = [each for each in placed if each[0][0] != 0]
        # Texts can't be negated: sort backwards, which keeps the order of equals.
        backwards = not ordering.is_ascending and ordering.entity is not Entity.METRIC
        with_value.sort(key=operator.itemgetter(0), reverse=backwards)
        without.sort(key=operator.itemgetter(0))
        runs = [run for _, run in with_value + without]
    return [run.info.run_id for run in runs]


class Contents(TypedDict, total=False):
    """What is logged to a run."""

    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    datasets: dict[str, tuple[str, str]]


def datasets(given: dict[str, tuple[str, str]]) -> list[DatasetInput]:
    return [
        DatasetInput(
            Dataset(name, digest, "local", "{}"),
            {"mlflow.data.context": context} if context else {},
        )
        for name, (digest, context) in given.items()
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(CONTENTS, max_size=6), st.lists(st.tuples(FILTERS, ORDERS), min_size=3, max_size=8))
def test_sql_finds_what_a_naive_reader_finds(
    tmp_path_factory: pytest.TempPathFactory,
    contents: list[Contents],
    searches: list[tuple[list[Comparison], list[str]]],
) -> None:
    path: Path = tmp_path_factory.mktemp("filters") / "flowrun.db"
    with tracking_store(path) as store:
        ids = []
        for start, content in zip(itertools.cycle([1, 2]), contents, strict=False):
            run = store.create_run(
                "0",
                user_id="ada",
                run_name="ab" if start == 1 else "A",
                start_time_ms=start,
                params=content.get("params"),
                tags=content.get("tags"),
            )
            points = [Metric(key, value, 1) for key, value in content.get("metrics", {}).items()]
            store.log_batch(run.info.run_id, metrics=points)
            store.log_inputs(run.info.run_id, datasets=datasets(content.get("datasets", {})))
            if start == 2:
                store.update_run(run.info.run_id, status=RunStatus.FINISHED, end_time_ms=2)
            ids.append(run.info.run_id)
        runs = [store.get_run(run_id) for run_id in ids]
        for wanted, order_by in searches:
            text = " AND ".join(map(written, wanted))
            found = store.search_runs(["0"], filter_text=text, order_by=order_by).items
            expected = [run for run in runs if all(holds(each, run) for each in wanted)]
            assert [run.info.run_id for run in found] == in_order(expected, order_by), text
