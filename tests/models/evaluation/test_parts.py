"""Slices, comparisons, rankings by score, own metrics: on samples, without a server."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowrun.models.evaluation.asking import Answer
from flowrun.models.evaluation.comparing import compared
from flowrun.models.evaluation.curves import of_classifier, of_regressor
from flowrun.models.evaluation.data import read_data
from flowrun.models.evaluation.kinds import Prepared, prepared
from flowrun.models.evaluation.options import Options
from flowrun.models.evaluation.own_metrics import (
    MetricValue,
    compute_own,
    make_metric,
    own_metric,
)
from flowrun.models.evaluation.plots import draw
from flowrun.models.evaluation.samples import Samples, as_array
from flowrun.models.evaluation.scores import computed
from flowrun.models.evaluation.slices import slice_of, sliced

numpy = importlib.import_module("numpy")
pandas = importlib.import_module("pandas")


def ready(
    kind: str,
    frame: Any,  # noqa: ANN401 - of pandas
    target: object,
    said: object,
    **options: Any,  # noqa: ANN401 - of each its own
) -> Prepared:
    """Prepare samples as an evaluation does."""
    samples = Samples(frame, as_array(said), as_array(target))
    answer = Answer(samples.prediction, options.pop("likely", None), options.pop("classes", None))
    return prepared(kind, samples, answer, Options(**options))


def test_a_slice_has_the_metrics_of_its_rows() -> None:
    frame = pandas.DataFrame(
        {"town": ["A", "B", "A", None, "B", "B"], "age": [1, 2, 3, 4, 5, numpy.nan]}
    )
    made = ready("regressor", frame, [1.0, 2, 3, 4, 5, 6], [1.0, 2, 4, 4, 5, 9])
    slices = [
        slice_of("town"),
        slice_of({"by": "age", "bins": 2}),
        slice_of({"by": "age", "bins": [3, 4.5]}),
    ]
    rows = sliced(slices, made.samples, made.scores)
    assert [
        (row["slice"], row["value"], row["example_count"], row["mean_absolute_error"])
        for row in rows
    ] == [
        ("town", "A", 2, 0.5),
        ("town", "B", 3, 1),
        ("town", "(missing)", 1, 0),
        ("age", "< 3", 2, 0),
        ("age", ">= 3", 3, pytest.approx(1 / 3)),
        ("age", "(missing)", 1, 3),
        ("age", "< 3", 2, 0),
        ("age", "3 to < 4.5", 2, 0.5),
        ("age", ">= 4.5", 1, 0),
        ("age", "(missing)", 1, 3),
    ]


def test_the_rare_values_of_a_column_are_one_slice() -> None:
    frame = pandas.DataFrame({"id": [*range(60), *[0, 1] * 5]})
    made = ready("regressor", frame, range(70), range(70))
    rows = sliced([slice_of("id")], made.samples, made.scores)
    assert len(rows) == 51
    assert rows[0]["example_count"] == 6
    assert (rows[-1]["value"], rows[-1]["example_count"]) == ("(others)", 10)


def test_a_slice_of_one_class_has_no_curve() -> None:
    frame = pandas.DataFrame({"part": ["a", "a", "b", "b"]})
    likely = numpy.asarray([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    made = ready("classifier", frame, [0, 1, 0, 0], [0, 1, 0, 1], likely=likely)
    one, other = sliced([slice_of("part")], made.samples, made.scores)
    assert (one["roc_auc"], one["accuracy_score"]) == (1.0, 1.0)
    assert numpy.isnan(other["roc_auc"])
    assert other["accuracy_score"] == 0.5


VERDICTS = {
    "much better": (0.1, 1.0, "better"),
    "much worse": (1.0, 0.1, "worse"),
    "the same": (0.5, 0.5, "undecided"),
    "hardly better": (0.5, 0.505, "undecided"),
}


@pytest.mark.parametrize(("mine", "theirs", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_the_interval_says_which_model_is_better(mine: float, theirs: float, verdict: str) -> None:
    random = numpy.random.default_rng(1)
    target = random.normal(size=200)
    frame = pandas.DataFrame({"x": target})
    one = ready("regressor", frame, target, target + mine * random.normal(size=200))
    two = ready("regressor", frame, target, target + theirs * random.normal(size=200))
    values, others = computed(one.scores, one.samples), computed(two.scores, two.samples)
    found = {
        each.metric: each
        for each in compared(one.samples, two.samples, values, others, one.scores, [one.main])
    }
    error = found["root_mean_squared_error"]
    assert error.verdict == verdict
    assert error.low is not None
    assert error.high is not None
    assert error.low <= error.change <= error.high
    assert error.gain == others["root_mean_squared_error"] - values["root_mean_squared_error"]
    assert found["example_count"].verdict == ""


def test_rows_with_scores_are_ranked_within_their_query() -> None:
    frame = pandas.DataFrame({"query": ["p", "p", "p", "q", "q", "r"]})
    made = ready(
        "ranking", frame, [3, 0, 1, 0, 1, 1], [0.9, 0.5, 0.4, 0.8, 0.1, 0.3], k=2, group="query"
    )
    values = computed(made.scores, made.samples)
    assert values["example_count"] == 3
    assert made.samples.scores["precision_at_2"].tolist() == [0.5, 0.5, 1.0]
    assert made.samples.scores["recall_at_2"].tolist() == [0.5, 1.0, 1.0]
    best = 3 + 1 / numpy.log2(3)
    assert made.samples.scores["ndcg_at_2"].tolist() == pytest.approx(
        [3 / best, 1 / numpy.log2(3), 1]
    )


def test_texts_are_compared_by_words_and_as_a_whole() -> None:
    frame = pandas.DataFrame({"x": [1, 2]})
    said = ["the cat sat on the mat", "no idea at all of it"]
    made = ready("text", frame, ["the cat sat on the mat", "it rains"], said)
    values = computed(made.scores, made.samples)
    assert values["exact_match/v1"] == 0.5
    assert values["rougeL/v1/mean"] == pytest.approx((1 + 2 / 8) / 2)
    assert 0 < values["bleu"] < 100
    assert computed(made.scores, made.samples.take(numpy.asarray([0])))["bleu"] == pytest.approx(
        100
    )


def by_column(predictions: Any, targets: Any, price: Any, factor: int = 2) -> float:  # noqa: ANN401
    return float(((predictions != targets) * price).sum() * factor)


def of_a_table(eval_df: Any, builtin_metrics: Any) -> float:  # noqa: ANN401
    share = float((eval_df["prediction"] == eval_df["target"]).mean())
    return share - float(builtin_metrics["known"])


def of_rows(predictions: Any, targets: Any) -> MetricValue:  # noqa: ANN401
    scores = (predictions == targets).astype(float).tolist()
    return MetricValue(scores=scores, aggregate_results={"of_rows": 7, "worst": min(scores)})


OWN = {
    "of a column and the configuration": (by_column, {"by_column": 9.0}),
    "of a table and the metrics so far": (of_a_table, {"of_a_table": 0.5}),
    "of rows": (of_rows, {"of_rows": 7.0, "of_rows/worst": 0.0}),
    "with a version": (
        make_metric(eval_fn=of_a_table, name="own", version="v2"),
        {"own/v2": 0.5},
    ),
}


@pytest.mark.parametrize(("function", "expected"), OWN.values(), ids=OWN)
def test_an_own_metric_gets_what_it_asks_for(function: Any, expected: dict[str, float]) -> None:  # noqa: ANN401
    frame = pandas.DataFrame({"price": [1, 2, 3, 4]})
    made = ready("classifier", frame, ["a", "b", "a", "b"], ["a", "b", "b", "b"])
    value = compute_own(own_metric(function), made.samples, {"known": 0.25}, {"factor": 3}, {})
    assert value.metrics == expected


def test_pictures_leave_the_users_figures_alone(tmp_path: Path) -> None:
    pyplot = importlib.import_module("matplotlib.pyplot")
    before = (pyplot.get_fignums(), importlib.import_module("matplotlib").get_backend())
    likely = numpy.asarray([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    frame = pandas.DataFrame({"x": range(4)})
    made = ready(
        "classifier", frame, ["$a$", "b", "$a$", "b"], ["$a$", "b", "b", "b"], likely=likely
    )
    numbers = ready("regressor", frame, [1.0, 2, 3, 4], [1.0, 2, 3, 5])
    for chart in (*of_classifier(made.samples, 5, 10), *of_regressor(numbers.samples)):
        draw(chart, tmp_path / "chart.png")
        assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG"), chart.name
        assert chart.rows(), chart.name
    assert (pyplot.get_fignums(), importlib.import_module("matplotlib").get_backend()) == before


TYPES = {
    "numbers and truths": ([True, False, True, False], [1, 0, 0, 0]),
    "nullable numbers": (pandas.array([1, 0, 1, 0], dtype="Int64"), [1, 0, 0, 0]),
    "objects": (numpy.asarray([1, 0, numpy.int64(1), 0], dtype=object), [1.0, 0.0, 0.0, 0.0]),
    "categories": (pandas.Categorical(list("bcbc")), list("bccc")),
    "texts of another library": (pandas.array(list("bcbc"), dtype="string"), list("bccc")),
}


@pytest.mark.parametrize(("target", "said"), TYPES.values(), ids=TYPES)
def test_classes_may_come_in_any_type(target: object, said: object) -> None:
    frame = pandas.DataFrame({"x": range(4)})
    made = ready("classifier", frame, pandas.Series(target), said)
    assert computed(made.scores, made.samples)["accuracy_score"] == 0.75
    assert len(made.samples.names) == 2


class Named:
    """As a dataset of MLflow's."""

    df = pandas.DataFrame({"y": [1, 0], "p": [1, 1]})
    name = "wines"
    targets = "y"


NAMES = {
    "file": (lambda folder: str(folder / "test.csv"), "y", "test.csv"),
    "folder of one file": (lambda folder: folder, "y", "test.csv"),
    "dataset": (lambda _: Named(), None, "wines"),
    "frame": (lambda _: Named.df, "y", "dataset"),
}


@pytest.mark.parametrize(("make", "target", "name"), NAMES.values(), ids=NAMES)
def test_data_is_called_as_where_it_comes_from(
    tmp_path: Path, make: Callable[[Path], object], target: str | None, name: str
) -> None:
    (tmp_path / "test.csv").write_text("y,p\n1,1\n0,1\n")
    assert read_data(make(tmp_path), target, "p", None, has_model=False).name == name
