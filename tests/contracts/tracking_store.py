"""The promises of `TrackingStore`: every store subclasses these, with a `store` fixture.

The store has artifact root `mlflow-artifacts:/` and nothing in it but the experiment `Default`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import pytest

from flowrun.errors import (
    AlreadyExistsError,
    FlowrunError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
)
from flowrun.tracking.entities import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    LifecycleStage,
    Metric,
    ModelInput,
    ModelOutput,
    ModelStatus,
    Run,
    RunStatus,
    ViewType,
)
from flowrun.tracking.store import TrackingStore

LARGEST = 1.7976931348623157e308
WINE = Dataset("wine", "d1", "local", '{"uri": "wine.csv"}', "{}", '{"num_rows": 3}')

Call = Callable[[TrackingStore], object]


def run_ids(runs: tuple[Run, ...]) -> list[str]:
    return [run.info.run_id for run in runs]


class ExperimentContract:
    """The promises of `ExperimentStore`."""

    def test_a_new_store_has_the_default_experiment(self, store: TrackingStore) -> None:
        experiment = store.get_experiment("0")
        assert experiment.name == "Default"
        assert experiment.artifact_location == "mlflow-artifacts:/0"
        assert experiment.lifecycle_stage is LifecycleStage.ACTIVE

    def test_a_created_experiment_is_given_back(self, store: TrackingStore) -> None:
        experiment_id = store.create_experiment("wine", tags={"team": "a"})
        experiment = store.get_experiment(experiment_id)
        assert (experiment.name, experiment.tags) == ("wine", {"team": "a"})
        assert experiment.artifact_location == f"mlflow-artifacts:/{experiment_id}"
        assert store.get_experiment_by_name("wine") == experiment

    def test_an_experiment_keeps_the_location_it_is_given(self, store: TrackingStore) -> None:
        experiment_id = store.create_experiment("wine", artifact_location="s3://bucket/wine")
        run = store.create_run(experiment_id)
        assert run.info.artifact_uri == f"s3://bucket/wine/{run.info.run_id}/artifacts"

    def test_a_name_nobody_has_gives_none(self, store: TrackingStore) -> None:
        assert store.get_experiment_by_name("nobody") is None

    def test_a_name_is_taken_also_by_a_deleted_experiment(self, store: TrackingStore) -> None:
        store.delete_experiment(store.create_experiment("wine"))
        with pytest.raises(AlreadyExistsError, match=r"Experiment\(name=wine\) already exists"):
            store.create_experiment("wine")

    def test_renaming_keeps_names_unique(self, store: TrackingStore) -> None:
        experiment_id = store.create_experiment("wine")
        store.rename_experiment(experiment_id, "beer")
        assert store.get_experiment(experiment_id).name == "beer"
        with pytest.raises(AlreadyExistsError):
            store.rename_experiment(experiment_id, "Default")

    def test_deleting_and_restoring_take_the_runs_along(self, store: TrackingStore) -> None:
        experiment_id = store.create_experiment("wine")
        run_id = store.create_run(experiment_id).info.run_id
        store.delete_experiment(experiment_id)
        assert store.get_run(run_id).info.lifecycle_stage is LifecycleStage.DELETED
        store.restore_experiment(experiment_id)
        assert store.get_run(run_id).info.lifecycle_stage is LifecycleStage.ACTIVE
        assert store.get_experiment(experiment_id).lifecycle_stage is LifecycleStage.ACTIVE

    def test_tags_are_set_replaced_and_deleted(self, store: TrackingStore) -> None:
        store.set_experiment_tag("0", "team", "a")
        store.set_experiment_tag("0", "team", "b")
        assert store.get_experiment("0").tags == {"team": "b"}
        store.delete_experiment_tag("0", "team")
        assert store.get_experiment("0").tags == {}

    def test_search_is_newest_first_and_paged(self, store: TrackingStore) -> None:
        ids = [store.create_experiment(f"e{number}") for number in range(3)]
        first = store.search_experiments(max_results=2)
        assert [each.experiment_id for each in first.items] == [ids[2], ids[1]]
        second = store.search_experiments(max_results=2, page_token=first.next_page_token)
        assert [each.experiment_id for each in second.items] == [ids[0], "0"]
        assert second.next_page_token is None

    @pytest.mark.parametrize(
        ("filter_text", "found"),
        {
            "name": ("name = 'wine'", ["wine"]),
            "like": ("name LIKE 'w%'", ["wine", "wax"]),
            "like tells case": ("name LIKE 'W%'", []),
            "ilike": ("attribute.name ILIKE 'W%'", ["wine", "wax"]),
            "tag": ("tags.team = 'a'", ["wine"]),
            "tag differs": ("tag.team != 'a'", ["wax"]),
            "no tag": ("tags.team IS NULL", ["Default"]),
            "any tag": ("tags.`team` IS NOT NULL", ["wine", "wax"]),
            "two": ("tags.team != 'x' AND name != 'wax'", ["wine"]),
            "ids": ("experiment_id IN ('0', '7')", ["Default"]),
            "time": ("creation_time < 0", []),
        }.values(),
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_filters_find_experiments(
        self, store: TrackingStore, filter_text: str, found: list[str]
    ) -> None:
        store.create_experiment("wine", tags={"team": "a"})
        store.create_experiment("wax", tags={"team": "b"})
        page = store.search_experiments(filter_text=filter_text, order_by=["name DESC"])
        assert [each.name for each in page.items] == found

    def test_views_select_by_stage(self, store: TrackingStore) -> None:
        store.delete_experiment(store.create_experiment("wine"))
        names = {
            view: [each.name for each in store.search_experiments(view=view).items]
            for view in ViewType
        }
        assert names == {
            ViewType.ACTIVE_ONLY: ["Default"],
            ViewType.DELETED_ONLY: ["wine"],
            ViewType.ALL: ["wine", "Default"],
        }


class RunContract:
    """The promises of `RunStore` about runs themselves."""

    def test_a_created_run_is_given_back(self, store: TrackingStore) -> None:
        run = store.create_run(
            "0",
            user_id="ada",
            run_name="first",
            start_time_ms=5,
            tags={"t": "1"},
            params={"p": "2"},
        )
        assert run.info.status is RunStatus.RUNNING
        assert (run.info.user_id, run.info.run_name) == ("ada", "first")
        assert (run.info.start_time_ms, run.info.end_time_ms) == (5, None)
        assert run.info.artifact_uri == f"mlflow-artifacts:/0/{run.info.run_id}/artifacts"
        assert run.tags == {"t": "1", "mlflow.runName": "first"}
        assert run.params == {"p": "2"}
        assert store.get_run(run.info.run_id) == run

    def test_a_run_without_a_name_gets_one(self, store: TrackingStore) -> None:
        names = {store.create_run("0").info.run_name for _ in range(5)}
        assert len(names) > 1
        assert all(len(name.split("-")) == 3 and len(name) <= 20 for name in names)

    def test_a_run_is_named_by_its_tag(self, store: TrackingStore) -> None:
        run = store.create_run("0", tags={"mlflow.runName": "tagged"})
        assert run.info.run_name == "tagged"

    def test_name_and_tag_stay_equal(self, store: TrackingStore) -> None:
        run_id = store.create_run("0", run_name="a").info.run_id
        store.log_batch(run_id, tags={"mlflow.runName": "b"})
        assert store.get_run(run_id).info.run_name == "b"
        store.update_run(run_id, run_name="c")
        assert store.get_run(run_id).tags["mlflow.runName"] == "c"

    def test_update_leaves_what_is_not_given(self, store: TrackingStore) -> None:
        run = store.create_run("0", run_name="a")
        info = store.update_run(run.info.run_id, status=RunStatus.FINISHED, end_time_ms=9)
        assert (info.status, info.end_time_ms, info.run_name) == (RunStatus.FINISHED, 9, "a")
        again = store.update_run(run.info.run_id, run_name="b")
        assert (again.status, again.end_time_ms, again.run_name) == (RunStatus.FINISHED, 9, "b")
        assert store.get_run(run.info.run_id).info == again

    def test_a_deleted_run_is_hidden_and_comes_back(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        store.delete_run(run_id)
        assert store.search_runs(["0"]).items == ()
        deleted = store.search_runs(["0"], view=ViewType.DELETED_ONLY).items
        assert run_ids(deleted) == [run_id]
        store.restore_run(run_id)
        assert run_ids(store.search_runs(["0"]).items) == [run_id]

    def test_search_is_newest_first_then_by_id(self, store: TrackingStore) -> None:
        starts = [3, 1, 3]
        runs = [store.create_run("0", start_time_ms=start).info.run_id for start in starts]
        found = run_ids(store.search_runs(["0"]).items)
        assert found == [*sorted([runs[0], runs[2]]), runs[1]]

    def test_search_pages_without_gap_or_overlap(self, store: TrackingStore) -> None:
        made = {store.create_run("0", start_time_ms=1).info.run_id for _ in range(7)}
        token, found = None, []
        for _ in range(4):
            page = store.search_runs(["0"], max_results=2, page_token=token)
            found += run_ids(page.items)
            token = page.next_page_token
        assert (token, sorted(found)) == (None, sorted(made))

    def test_search_looks_in_the_experiments_given(self, store: TrackingStore) -> None:
        other = store.create_experiment("other")
        here, there = store.create_run("0"), store.create_run(other)
        assert run_ids(store.search_runs([other]).items) == [there.info.run_id]
        assert len(store.search_runs(["0", other]).items) == 2
        assert store.search_runs([]).items == ()
        assert run_ids(store.search_runs(["0"]).items) == [here.info.run_id]

    def test_search_gives_whole_runs(self, store: TrackingStore) -> None:
        run_id = store.create_run("0", params={"p": "1"}).info.run_id
        model_id = store.create_logged_model("0").model_id
        store.log_batch(run_id, metrics=[Metric("m", 1.5, 2, 3)], tags={"t": "x"})
        store.log_inputs(run_id, datasets=[DatasetInput(WINE, {"k": "v"})])
        store.log_outputs(run_id, [ModelOutput(model_id, 4)])
        assert store.search_runs(["0"]).items == (store.get_run(run_id),)

    def test_metrics_order_numbers_then_nan_then_none(self, store: TrackingStore) -> None:
        values = {"one": 1.0, "two": 2.0, "nan": math.nan, "none": None, "minus": -math.inf}
        for name, value in values.items():
            run = store.create_run("0", run_name=name)
            if value is not None:
                store.log_batch(run.info.run_id, metrics=[Metric("m", value, 1)])
        up = store.search_runs(["0"], order_by=["metrics.m"]).items
        down = store.search_runs(["0"], order_by=["metrics.m DESC"]).items
        assert [run.info.run_name for run in up] == ["minus", "one", "two", "nan", "none"]
        assert [run.info.run_name for run in down] == ["two", "one", "minus", "nan", "none"]

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("params.p", "abc"),
            ("params.`p` DESC", "bac"),
            ('tags."t" asc', "bac"),
            ("attributes.run_name DESC", "cba"),
            ("end_time", "bac"),
            ("end_time DESC", "abc"),
            ("Created", "abc"),
        ],
    )
    def test_runs_are_ordered_by_what_they_have(
        self, store: TrackingStore, order: str, found: str
    ) -> None:
        contents = {"a": ("1", "z", 9), "b": ("2", "y", 8), "c": (None, None, None)}
        for start, (name, (param, tag, end)) in enumerate(contents.items()):
            run = store.create_run("0", run_name=name, start_time_ms=start)
            if param and tag:
                store.log_batch(run.info.run_id, params={"p": param}, tags={"t": tag})
                store.update_run(run.info.run_id, end_time_ms=end)
        page = store.search_runs(["0"], order_by=[order])
        assert "".join(run.info.run_name for run in page.items) == found

    @pytest.mark.parametrize(
        ("filter_text", "found"),
        [
            ("metrics.m > 1", "b"),
            ("metrics.m >= 1 AND metrics.m < 2", "a"),
            ("metric.m != 1", "bn"),
            ("metrics.m = 0", ""),
            ("metrics.`m` = 1e0", "a"),
            ("metrics.m != 0", "abn"),
            ("metrics.absent > 0", ""),
            ("params.p = 'x'", "a"),
            ("params.p != 'x'", "b"),
            ("parameters.p LIKE 'X'", ""),
            ("params.p ILIKE 'X'", "a"),
            ("params.p IS NULL", "cn"),
            ("param.p IS NOT NULL", "ab"),
            ("tags.t = 'it''s'", ""),
            ('tags.t = "it\'s"', "a"),
            ("tags.`long key` = 'v'", "b"),
            ("attributes.status = 'FINISHED'", "b"),
            ("run.run_name IN ('a')", None),
            ("`run name` = 'c'", "c"),
            ("attr.start_time > 1", "cn"),
            ("start_time != 0 AND end_time = 7", "b"),
            ("end_time != 7", ""),
            ("dataset.name = 'wine'", "a"),
            ("datasets.context = 'train'", "a"),
            ("dataset.digest IN ('d1', 'd2')", "a"),
            ("dataset.context != 'train'", ""),
            ("tags.mlflow.runName = 'a'", "a"),
            ("metrics.m > 0 and params.p = 'x' AND tags.t IS NOT NULL", "a"),
        ],
    )
    def test_filters_find_runs(
        self, store: TrackingStore, filter_text: str, found: str | None
    ) -> None:
        ids = {
            name: store.create_run("0", run_name=name, start_time_ms=start).info.run_id
            for start, name in enumerate("abcn")
        }
        store.log_batch(
            ids["a"], metrics=[Metric("m", 1, 1)], params={"p": "x"}, tags={"t": "it's"}
        )
        store.log_batch(
            ids["b"], metrics=[Metric("m", 2, 1)], params={"p": "y"}, tags={"long key": "v"}
        )
        store.log_batch(ids["n"], metrics=[Metric("m", math.nan, 1)])
        store.update_run(ids["b"], status=RunStatus.FINISHED, end_time_ms=7)
        given = DatasetInput(WINE, {"mlflow.data.context": "train"})
        store.log_inputs(ids["a"], datasets=[given])
        if found is None:
            with pytest.raises(InvalidValueError, match=r"Only \['run_id'\] attributes"):
                store.search_runs(["0"], filter_text=filter_text)
            return
        page = store.search_runs(["0"], filter_text=filter_text, order_by=["run_name"])
        assert "".join(run.info.run_name for run in page.items) == found

    def test_run_ids_can_be_listed_in_a_filter(self, store: TrackingStore) -> None:
        one, two = (store.create_run("0").info.run_id for _ in range(2))
        text = f"attributes.run_id IN ('{one}', 'other')"
        assert run_ids(store.search_runs(["0"], filter_text=text).items) == [one]
        text = f"run_id NOT IN ('{one}')"
        assert run_ids(store.search_runs(["0"], filter_text=text).items) == [two]


HISTORIES: dict[str, list[tuple[int, float]]] = {
    "what comes after": [(step, 0.5) for step in range(150, 300)],
    "the same": [(step, 0.5) for step in range(150)],
    "backwards": [(step, 0.5) for step in range(300, 100, -1)],
    "some there, some new": [(step, 0.5) for step in range(100, 250)],
    "the last one's place again": [(149, 0.5), *((step, 0.5) for step in range(150, 300))],
    "a nan where a zero is": [
        (150, 0.0),
        (150, math.nan),
        *((step, 1.0) for step in range(151, 300)),
    ],
    "twice in the batch": [(step // 2, 0.5) for step in range(300, 600)],
}


class RunDataContract:
    """The promises of `RunStore` about what is logged to runs."""

    def test_the_latest_metric_is_the_largest_by_step_time_and_value(
        self, store: TrackingStore
    ) -> None:
        run_id = store.create_run("0").info.run_id
        latest = Metric("m", 5.0, timestamp_ms=2, step=3)
        store.log_batch(run_id, metrics=[latest])
        store.log_batch(run_id, metrics=[Metric("m", 9.0, 9, 2), Metric("m", 9.0, 1, 3)])
        store.log_batch(run_id, metrics=[Metric("m", 4.0, 2, 3)])
        assert store.get_run(run_id).metrics == {"m": latest}

    def test_the_latest_metric_of_a_batch_is_its_largest(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        points = [Metric("m", float(step), 1, step) for step in (1, 3, 2)]
        store.log_batch(run_id, metrics=points)
        assert store.get_run(run_id).metrics == {"m": points[1]}

    def test_an_identical_point_is_stored_once(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        for _ in range(2):
            store.log_batch(run_id, metrics=[Metric("m", math.nan, 1), Metric("m", 1.0, 1)] * 2)
        assert len(store.get_metric_history(run_id, "m").items) == 2

    @pytest.mark.parametrize("second", HISTORIES.values(), ids=HISTORIES)
    def test_a_long_batch_adds_what_is_not_there_yet(
        self, store: TrackingStore, second: Sequence[tuple[int, float]]
    ) -> None:
        run_id = store.create_run("0").info.run_id
        first = [(step, 0.5) for step in range(150)]
        for batch in (first, second):
            metrics = [Metric("m", value, 1, step) for step, value in batch]
            store.log_batch(run_id, metrics=metrics, tags={"t": "1"})
        points = store.get_metric_history(run_id, "m").items
        found = [(point.step, str(point.value)) for point in points]
        expected = {(step, str(value)) for step, value in (*first, *second)}
        assert len(found) == len(expected)
        assert set(found) == expected
        last = store.get_run(run_id).metrics["m"]
        assert last.step == max(step for step, _ in (*first, *second))

    def test_a_history_is_by_time_step_and_value(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        points = [Metric("m", 1.0, 2, 0), Metric("m", 3.0, 1, 1), Metric("m", 2.0, 1, 1)]
        store.log_batch(run_id, metrics=[*points, Metric("other", 0.0, 0)])
        found = store.get_metric_history(run_id, "m").items
        assert found == (points[2], points[1], points[0])

    def test_a_history_has_pages(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        points = [Metric("m", float(step), 1, step) for step in range(5)]
        store.log_batch(run_id, metrics=points)
        first = store.get_metric_history(run_id, "m", max_results=3)
        rest = store.get_metric_history(run_id, "m", page_token=first.next_page_token)
        assert [*first.items, *rest.items] == points
        assert rest.next_page_token is None

    def test_a_page_of_a_history_goes_on_where_the_one_before_ended(
        self, store: TrackingStore
    ) -> None:
        run_id = store.create_run("0").info.run_id
        store.log_batch(run_id, metrics=[Metric("m", float(n), n, n) for n in (1, 2, 3, 4)])
        first = store.get_metric_history(run_id, "m", max_results=2)
        store.log_batch(run_id, metrics=[Metric("m", 0.0, 0, 0)])
        rest = store.get_metric_history(run_id, "m", page_token=first.next_page_token)
        assert [point.step for point in (*first.items, *rest.items)] == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("most", "steps"), [(1, [100]), (2, [0, 100]), (5, [0, 25, 50, 75, 100])]
    )
    def test_points_for_a_chart_are_evenly_chosen(
        self, store: TrackingStore, most: int, steps: list[int]
    ) -> None:
        run_id = store.create_run("0").info.run_id
        store.log_batch(run_id, metrics=[Metric("m", 0.5, 1, step) for step in range(101)])
        assert [p.step for p in store.sample_metric_history(run_id, "m", most=most)] == steps

    def test_a_chart_of_few_points_has_them_all_by_step(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        points = [Metric("m", float(step), 9 - step, step) for step in range(5)]
        store.log_batch(run_id, metrics=[*points, Metric("other", 0.0, 0)])
        assert list(store.sample_metric_history(run_id, "m", most=5)) == points
        assert list(store.sample_metric_history(run_id, "m", most=9, steps=(1, 3))) == points[1:4]
        assert list(store.sample_metric_history(run_id, "absent", most=9)) == []

    def test_a_metric_nobody_logged_has_no_history(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        assert store.get_metric_history(run_id, "absent").items == ()

    def test_nan_stays_and_infinity_becomes_the_largest_number(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        values = {"nan": math.nan, "up": math.inf, "down": -math.inf}
        store.log_batch(run_id, metrics=[Metric(key, value, 1) for key, value in values.items()])
        metrics = store.get_run(run_id).metrics
        assert math.isnan(metrics["nan"].value)
        assert (metrics["up"].value, metrics["down"].value) == (LARGEST, -LARGEST)

    def test_a_param_never_changes(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        store.log_batch(run_id, params={"p": "1"})
        store.log_batch(run_id, params={"p": "1"})
        with pytest.raises(InvalidValueError) as error:
            store.log_batch(run_id, params={"p": "2"})
        assert str(error.value) == (
            "Changing param values is not allowed. Param with key='p' was already logged "
            f"with value='1' for run ID='{run_id}'. Attempted logging new value '2'."
        )

    def test_a_batch_that_changes_a_param_writes_nothing(self, store: TrackingStore) -> None:
        run_id = store.create_run("0", run_name="a").info.run_id
        store.log_batch(run_id, params={"p": "1"})
        before = store.get_run(run_id)
        with pytest.raises(InvalidValueError) as error:
            store.log_batch(
                run_id,
                metrics=[Metric("m", 1.0, 1)],
                params={"new": "1", "p": "2"},
                tags={"t": "x"},
            )
        assert str(error.value) == (
            "Changing param values is not allowed. Params were already logged="
            f"'[{{'key': 'p', 'old_value': '1', 'new_value': '2'}}]' for run ID='{run_id}'."
        )
        assert store.get_run(run_id) == before

    def test_long_values_are_cut(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        store.log_batch(run_id, params={"p": "x" * 6001}, tags={"t": "y" * 8001})
        run = store.get_run(run_id)
        assert (len(run.params["p"]), len(run.tags["t"])) == (6000, 8000)

    def test_tags_are_replaced_and_deleted(self, store: TrackingStore) -> None:
        run_id = store.create_run("0", run_name="a").info.run_id
        store.log_batch(run_id, tags={"t": "1"})
        store.log_batch(run_id, tags={"t": "2"})
        assert store.get_run(run_id).tags["t"] == "2"
        store.delete_tag(run_id, "t")
        assert store.get_run(run_id).tags == {"mlflow.runName": "a"}

    def test_inputs_and_outputs_are_given_back(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        given = DatasetInput(WINE, {"mlflow.data.context": "train"})
        store.log_inputs(run_id, datasets=[given, given], models=[ModelInput("m-1")])
        store.log_inputs(run_id, models=[ModelInput("m-1")])
        store.log_outputs(run_id, [ModelOutput("m-2", 3)])
        run = store.get_run(run_id)
        assert run.dataset_inputs == (given,)
        assert run.model_inputs == (ModelInput("m-1"),)
        assert run.model_outputs == (ModelOutput("m-2", 3),)

    def test_a_dataset_is_shared_by_runs_and_its_tags_are_not(self, store: TrackingStore) -> None:
        one, two = (store.create_run("0").info.run_id for _ in range(2))
        store.log_inputs(one, datasets=[DatasetInput(WINE, {"use": "train"})])
        store.log_inputs(two, datasets=[DatasetInput(WINE, {"use": "test"})])
        assert store.get_run(one).dataset_inputs == (DatasetInput(WINE, {"use": "train"}),)
        assert store.get_run(two).dataset_inputs == (DatasetInput(WINE, {"use": "test"}),)

    def test_datasets_of_experiments_are_told_once_for_each_context(
        self, store: TrackingStore
    ) -> None:
        other = store.create_experiment("other")
        for experiment_id, tags in (
            ("0", {"mlflow.data.context": "train"}),
            ("0", {"mlflow.data.context": "train"}),
            ("0", {"mlflow.data.context": "test"}),
            (other, {"unlike": "context"}),
        ):
            run_id = store.create_run(experiment_id).info.run_id
            store.log_inputs(run_id, datasets=[DatasetInput(WINE, tags)])
        assert sorted(store.search_datasets(["0"]), key=lambda item: item.context or "") == [
            DatasetSummary("0", "wine", "d1", "test"),
            DatasetSummary("0", "wine", "d1", "train"),
        ]
        assert store.search_datasets([other, "999"]) == [DatasetSummary(other, "wine", "d1", None)]
        assert store.search_datasets(["no number", "9" * 30]) == []

    def test_threads_log_to_one_run_without_loss(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id

        def log(key: str) -> None:
            for step in range(20):
                store.log_batch(run_id, metrics=[Metric(key, float(step), step, step)])

        threads = [threading.Thread(target=log, args=(f"m{index}",)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        metrics = store.get_run(run_id).metrics
        assert {key: metric.step for key, metric in metrics.items()} == {
            f"m{index}": 19 for index in range(8)
        }
        assert len(store.get_metric_history(run_id, "m3").items) == 20


class LoggedModelContract:
    """The promises of `LoggedModelStore`."""

    def test_a_created_model_is_pending_and_given_back(self, store: TrackingStore) -> None:
        model = store.create_logged_model(
            "0",
            name="model",
            model_type="agent",
            source_run_id="r1",
            params={"p": "1"},
            tags={"t": "2"},
        )
        assert model.status is ModelStatus.PENDING
        assert model.model_id.startswith("m-")
        assert model.artifact_uri == f"mlflow-artifacts:/0/models/{model.model_id}/artifacts"
        assert (model.name, model.model_type, model.source_run_id) == ("model", "agent", "r1")
        assert (model.params, model.tags) == ({"p": "1"}, {"t": "2"})
        assert store.get_logged_model(model.model_id) == model

    def test_a_model_without_a_name_gets_one(self, store: TrackingStore) -> None:
        assert len(store.create_logged_model("0").name.split("-")) == 3

    def test_a_model_is_finalized(self, store: TrackingStore) -> None:
        model_id = store.create_logged_model("0").model_id
        model = store.finalize_logged_model(model_id, ModelStatus.READY)
        assert model.status is ModelStatus.READY
        assert store.get_logged_model(model_id) == model

    def test_params_and_tags_are_added_later(self, store: TrackingStore) -> None:
        model_id = store.create_logged_model("0", params={"p": "1"}, tags={"t": "1"}).model_id
        store.log_logged_model_params(model_id, {"q": "2"})
        store.set_logged_model_tags(model_id, {"t": "2", "u": "3"})
        store.delete_logged_model_tag(model_id, "u")
        model = store.get_logged_model(model_id)
        assert (model.params, model.tags) == ({"p": "1", "q": "2"}, {"t": "2"})

    def test_a_deleted_model_is_gone(self, store: TrackingStore) -> None:
        model_id = store.create_logged_model("0").model_id
        store.delete_logged_model(model_id)
        assert store.search_logged_models(["0"]).items == ()
        with pytest.raises(NotFoundError, match=f"Logged model with ID '{model_id}' not found."):
            store.get_logged_model(model_id)

    def test_a_metric_with_a_model_is_the_models_too(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        model_id = store.create_logged_model("0").model_id
        metric = Metric("m", 1.5, 2, 3, model_id, "wine", "d1")
        store.log_batch(run_id, metrics=[metric])
        assert store.get_run(run_id).metrics["m"].value == 1.5
        (found,) = store.get_logged_model(model_id).metrics
        assert found == Metric("m", 1.5, 2, 3, model_id, "wine", "d1", run_id)

    def test_a_metric_of_an_unknown_model_is_refused_whole(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        with pytest.raises(NotFoundError):
            store.log_batch(run_id, metrics=[Metric("m", 1.0, 1, model_id="m-unknown")])
        assert store.get_run(run_id).metrics == {}

    @pytest.mark.parametrize(
        ("filter_text", "found"),
        [
            ("", "abc"),
            ("name = 'a'", "a"),
            ("name IN ('a', 'c')", "ac"),
            ("attributes.model_type LIKE 'x%'", "a"),
            ("source_run_id = 'r1'", "ab"),
            ("metrics.m > 1", "b"),
            ("metrics.m >= 1 AND params.p = '1'", "a"),
            ("params.p != '1'", "b"),
            ("tags.t = 'v'", "c"),
            ("creation_timestamp > 0", "abc"),
            ("creation_time < 0", ""),
        ],
    )
    def test_filters_find_models(self, store: TrackingStore, filter_text: str, found: str) -> None:
        run_id = store.create_run("0").info.run_id
        models = [
            store.create_logged_model(
                "0", name="a", model_type="xy", source_run_id="r1", params={"p": "1"}
            ),
            store.create_logged_model("0", name="b", source_run_id="r1", params={"p": "2"}),
            store.create_logged_model("0", name="c", tags={"t": "v"}),
        ]
        for value, model in enumerate(models[:2], start=1):
            store.log_batch(
                run_id, metrics=[Metric("m", value, 1, step, model.model_id) for step in (1, 2)]
            )
        page = store.search_logged_models(["0"], filter_text=filter_text, order_by=[("name", True)])
        assert "".join(model.name for model in page.items) == found

    def test_datasets_narrow_a_search(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        one, two = (store.create_logged_model("0", name=name).model_id for name in "ab")
        store.log_batch(run_id, metrics=[Metric("m", 1, 1, 0, one, "wine", "d1")])
        store.log_batch(run_id, metrics=[Metric("m", 2, 1, 0, two, "wine", "d2")])

        def found(filter_text: str, *datasets: tuple[str, str | None]) -> list[str]:
            page = store.search_logged_models(["0"], filter_text=filter_text, datasets=datasets)
            return sorted(model.name for model in page.items)

        assert found("", ("wine", None)) == ["a", "b"]
        assert found("", ("wine", "d1")) == ["a"]
        assert found("metrics.m > 1", ("wine", "d1")) == []
        assert found("metrics.m > 1", ("wine", "d1"), ("wine", "d2")) == ["b"]

    def test_models_are_ordered_and_paged(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        ids = [store.create_logged_model("0", name=name).model_id for name in "abc"]
        for value, model_id in enumerate(ids[:2]):
            store.log_batch(run_id, metrics=[Metric("m", value, 1, 0, model_id)])

        def names(*order_by: tuple[str, bool]) -> str:
            items = store.search_logged_models(["0"], order_by=order_by).items
            return "".join(model.name for model in items)

        assert names() == "cba"
        assert names(("metrics.m", False)) == "bac"
        assert names(("metrics.m", True)) == "abc"
        first = store.search_logged_models(["0"], max_results=2)
        rest = store.search_logged_models(["0"], page_token=first.next_page_token)
        assert [model.name for model in (*first.items, *rest.items)] == ["c", "b", "a"]


MISSING_RUN = "f" * 32
NOT_FOUND: dict[str, tuple[Call, str]] = {
    "get run": (lambda s: s.get_run("nobody"), "Run with id=nobody not found"),
    "update run": (lambda s: s.update_run("nobody"), "Run with id=nobody not found"),
    "delete run": (lambda s: s.delete_run("nobody"), "Run with id=nobody not found"),
    "log batch": (
        lambda s: s.log_batch(MISSING_RUN, tags={"t": "1"}),
        f"Run with id={MISSING_RUN} not found",
    ),
    "history": (lambda s: s.get_metric_history("nobody", "m"), "Run with id=nobody not found"),
    "get experiment": (lambda s: s.get_experiment("999"), "No Experiment with id=999 exists"),
    "run in no experiment": (lambda s: s.create_run("999"), "No Experiment with id=999 exists"),
    "restore an active experiment": (
        lambda s: s.restore_experiment("0"),
        "No Experiment with id=0 exists",
    ),
    "experiment tag": (
        lambda s: s.delete_experiment_tag("0", "t"),
        "No tag with name: t in experiment with id 0",
    ),
    "get model": (lambda s: s.get_logged_model("m-1"), "Logged model with ID 'm-1' not found."),
    "finalize model": (
        lambda s: s.finalize_logged_model("m-1", ModelStatus.READY),
        "Logged model with ID 'm-1' not found.",
    ),
}
NAMES_MAY_ONLY = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), "
    "spaces ( ), colon(:) and slashes (/)."
)
INVALID: dict[str, tuple[Call, str]] = {
    "experiment id": (
        lambda s: s.get_experiment("x1"),
        "Invalid experiment ID 'x1'. Experiment ID must be a valid integer.",
    ),
    "no experiment name": (lambda s: s.create_experiment(""), "Invalid experiment name: ''"),
    "long experiment name": (
        lambda s: s.create_experiment("x" * 501),
        "'name' exceeds the maximum length of 500 characters",
    ),
    "runs location": (
        lambda s: s.create_experiment("x", artifact_location="runs:/1/a"),
        "Artifact location cannot be a runs:/ URI. Given: 'runs:/1/a'",
    ),
    "climbing location": (
        lambda s: s.create_experiment("x", artifact_location="s3://b/../c"),
        "Invalid value \"s3://b/../c\" for parameter 'artifact_location' supplied: Invalid path",
    ),
    "run names differ": (
        lambda s: s.create_run("0", run_name="a", tags={"mlflow.runName": "b"}),
        "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different "
        "values (run_name='a', mlflow.runName='b').",
    ),
    "run id": (
        lambda s: s.log_batch("a/b"),
        "Invalid value \"a/b\" for parameter 'run_id' supplied.",
    ),
    "metric characters": (
        lambda s: s.log_batch(MISSING_RUN, metrics=[Metric("a", 1, 1), Metric("a?", 1, 1)]),
        f"Invalid value \"a?\" for parameter 'metrics[1].name' supplied: {NAMES_MAY_ONLY}",
    ),
    "param path": (
        lambda s: s.log_batch(MISSING_RUN, params={"a/../b": "1"}),
        "Invalid value \"a/../b\" for parameter 'params[0].key' supplied: Names may be treated "
        "as files in certain cases, and must not resolve to other names when treated as such. "
        "This name would resolve to 'b'",
    ),
    "long tag key": (
        lambda s: s.log_batch(MISSING_RUN, tags={"k" * 251: "1"}),
        "'tags[0].key' exceeds the maximum length of 250 characters",
    ),
    "long param key": (
        lambda s: s.log_batch(MISSING_RUN, params={"k" * 251: "1"}),
        "'Param key' exceeds the maximum length of 250 characters",
    ),
    "negative time": (
        lambda s: s.log_batch(MISSING_RUN, metrics=[Metric("m", 1.0, -1)]),
        "Invalid value -1 for parameter 'metrics[0].timestamp' supplied: metric 'm' (value=1.0). "
        "Timestamp must be a nonnegative long (64-bit integer) ",
    ),
    "huge step": (
        lambda s: s.log_batch(MISSING_RUN, metrics=[Metric("m", 1.0, 1, 2**63)]),
        "Invalid value 9223372036854775808 for parameter 'metrics[0].step' supplied: metric 'm' "
        "(value=1.0). Step must be a valid long (64-bit integer).",
    ),
    "too many metrics": (
        lambda s: s.log_batch(MISSING_RUN, metrics=[Metric("m", 1.0, 1)] * 1001),
        "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. "
        "Please split up metrics across multiple requests and try again.",
    ),
    "too many in all": (
        lambda s: s.log_batch(MISSING_RUN, metrics=[Metric("m", 1.0, 1)] * 1000, tags={"t": "1"}),
        "A batch logging request can contain at most 1000 metrics, params, and tags. Got 1001 "
        "metrics, params, and tags. Please split up metrics, params, and tags across multiple "
        "requests and try again.",
    ),
    "page token": (
        lambda s: s.search_runs(["0"], page_token="?"),
        "Invalid page token, could not base64-decode",
    ),
    "no results": (
        lambda s: s.search_runs(["0"], max_results=0),
        "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
    ),
    "too many results": (
        lambda s: s.search_experiments(max_results=50_001),
        "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000",
    ),
    "or": (
        lambda s: s.search_runs(["0"], filter_text="metrics.a > 1 OR metrics.b > 1"),
        "Invalid clause(s) in filter string: 'OR'",
    ),
    "order twice": (
        lambda s: s.search_runs(["0"], order_by=["metrics.a", "metric.a DESC"]),
        "`order_by` contains duplicate fields: ['metrics.a', 'metric.a DESC']",
    ),
    "model name": (
        lambda s: s.create_logged_model("0", name="a/b"),
        "Invalid model name ('a/b') provided. Model name must be a non-empty string and cannot "
        "contain the following characters: ('/', ':', '.', '%', '\"', \"'\")",
    ),
    "model order": (
        lambda s: s.search_logged_models(["0"], order_by=[("params.p", True)]),
        "Invalid order by field name: params.p. Only metrics are supported.",
    ),
    "dataset without name": (
        lambda s: s.search_logged_models(["0"], datasets=[("", "d")]),
        "`dataset_name` in the `datasets` clause must be specified.",
    ),
    "half a surrogate pair": (
        lambda s: s.create_experiment("\ud800"),
        "a text holds '\\ud800', half of a surrogate pair, which is no character",
    ),
}


class RefusalContract:
    """Which error, and in which words: MLflow's, since its clients look for them."""

    told: ClassVar[Mapping[str, str]] = {}
    """Cases that this store, or what checks before it does, refuses in other words."""
    state_error: ClassVar[type[FlowrunError]] = InvalidStateError
    """What a wrong state is told as; MLflow's protocol has no code for it."""

    @pytest.mark.parametrize("case", NOT_FOUND)
    def test_what_is_missing_is_not_found(self, store: TrackingStore, case: str) -> None:
        call, message = NOT_FOUND[case]
        self._refuses(store, call, NotFoundError, self.told.get(case, message))

    @pytest.mark.parametrize("case", INVALID)
    def test_bad_values_are_refused(self, store: TrackingStore, case: str) -> None:
        call, message = INVALID[case]
        self._refuses(store, call, InvalidValueError, self.told.get(case, message))

    @pytest.mark.parametrize(
        "call",
        {
            "update": lambda s, run_id: s.update_run(run_id, run_name="x"),
            "log": lambda s, run_id: s.log_batch(run_id, tags={"t": "1"}),
            "delete tag": lambda s, run_id: s.delete_tag(run_id, "mlflow.runName"),
            "inputs": lambda s, run_id: s.log_inputs(run_id, models=[ModelInput("m-1")]),
            "outputs": lambda s, run_id: s.log_outputs(run_id, [ModelOutput("m-1")]),
        }.values(),
    )
    def test_a_deleted_run_takes_nothing(
        self, store: TrackingStore, call: Callable[[TrackingStore, str], object]
    ) -> None:
        run_id = store.create_run("0").info.run_id
        store.delete_run(run_id)
        message = f"The run {run_id} must be in the 'active' state. Current state is deleted."
        self._refuses(store, lambda s: call(s, run_id), InvalidValueError, message)

    def test_a_deleted_experiment_takes_no_runs(self, store: TrackingStore) -> None:
        experiment_id = store.create_experiment("wine")
        store.delete_experiment(experiment_id)
        message = (
            f"The experiment {experiment_id} must be in the 'active' state. "
            "Current state is deleted."
        )
        self._refuses(store, lambda s: s.create_run(experiment_id), InvalidValueError, message)
        with pytest.raises(self.state_error, match="Cannot rename a non-active experiment"):
            store.rename_experiment(experiment_id, "beer")

    def test_a_missing_tag_is_not_found(self, store: TrackingStore) -> None:
        run_id = store.create_run("0").info.run_id
        message = f"No tag with name: absent in run with id {run_id}"
        self._refuses(store, lambda s: s.delete_tag(run_id, "absent"), NotFoundError, message)

    def _refuses(
        self, store: TrackingStore, call: Call, kind: type[FlowrunError], message: str
    ) -> None:
        with pytest.raises(kind) as error:
            call(store)
        assert error.value.message == message


class TrackingStoreContract(
    ExperimentContract, RunContract, RunDataContract, LoggedModelContract, RefusalContract
):
    """All promises of `TrackingStore`."""
