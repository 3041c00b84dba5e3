"""The promises of `RegistryStore`: every store subclasses these.

Fixtures: `store`, empty, and `tracking`, the tracking store it takes runs and logged models from.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from flowrun.errors import AlreadyExistsError, InvalidValueError, NotFoundError
from flowrun.registry.entities import ModelVersion, Stage, Transition
from flowrun.registry.store import RegistryStore
from flowrun.tracking.entities import ModelOutput
from flowrun.tracking.store import TrackingStore
from tests.contracts.promotion_requests import RollbackContract

PROMPT = {"mlflow.prompt.is_prompt": "true"}
Call = Callable[[RegistryStore], object]


def numbers(versions: tuple[ModelVersion, ...] | list[ModelVersion]) -> str:
    return "".join(version.version for version in versions)


def told(history: list[Transition]) -> list[str]:
    """Give a history as short texts."""
    return [
        f"{each.version} {each.alias or each.kind} {each.before or '-'}>{each.after or '-'}"
        for each in history
    ]


def promote(store: RegistryStore, version: str, *, archive: bool = True) -> ModelVersion:
    return store.promote(
        "wine",
        version,
        stage=Stage.PRODUCTION,
        alias="champion",
        archive_existing=archive,
        user_id="ada",
        reason="better",
        run_id="r1",
    )


@pytest.fixture
def wine(store: RegistryStore) -> RegistryStore:
    """A registry with the model `wine`, which has versions 1 to 3."""
    store.create_registered_model("wine")
    for number in range(1, 4):
        store.create_model_version("wine", f"s3://bucket/{number}")
    return store


class RegisteredModelContract:
    """The promises of `RegisteredModelStore`."""

    def test_a_created_model_is_given_back(self, store: RegistryStore) -> None:
        model = store.create_registered_model("wine", description="red", tags={"t": "1"})
        assert (model.name, model.description, model.tags) == ("wine", "red", {"t": "1"})
        assert (model.aliases, model.latest_versions) == ({}, ())
        assert store.get_registered_model("wine") == model

    def test_a_name_is_given_once(self, store: RegistryStore) -> None:
        store.create_registered_model("wine")
        with pytest.raises(AlreadyExistsError) as error:
            store.create_registered_model("wine")
        assert str(error.value) == "Registered Model (name=wine) already exists."

    def test_a_model_and_a_prompt_do_not_share_a_name(self, store: RegistryStore) -> None:
        store.create_registered_model("ask", tags=PROMPT)
        with pytest.raises(AlreadyExistsError) as error:
            store.create_registered_model("ask")
        assert str(error.value) == (
            "Tried to create a registered model with name 'ask', but the name is already taken "
            "by a prompt. MLflow does not allow creating a model and a prompt with the same name."
        )

    def test_renaming_takes_versions_aliases_and_history_along(self, wine: RegistryStore) -> None:
        promote(wine, "2")
        wine.rename_registered_model("wine", "beer")
        assert wine.get_version_by_alias("beer", "champion").name == "beer"
        assert told(wine.get_history("beer")) == ["2 stage None>Production", "2 champion ->2"]
        with pytest.raises(NotFoundError):
            wine.get_registered_model("wine")

    def test_renaming_keeps_names_unique(self, wine: RegistryStore) -> None:
        wine.create_registered_model("beer")
        with pytest.raises(AlreadyExistsError, match=r"\(name=beer\) already exists"):
            wine.rename_registered_model("wine", "beer")

    def test_description_and_tags_change(self, wine: RegistryStore) -> None:
        wine.update_registered_model("wine", "red")
        wine.set_registered_model_tag("wine", "t", "1")
        wine.set_registered_model_tag("wine", "t", "2")
        wine.set_registered_model_tag("wine", "u", "3")
        wine.delete_registered_model_tag("wine", "u")
        wine.delete_registered_model_tag("wine", "absent")
        model = wine.get_registered_model("wine")
        assert (model.description, model.tags) == ("red", {"t": "2"})

    def test_a_deleted_model_is_gone_and_a_new_one_starts_afresh(self, wine: RegistryStore) -> None:
        promote(wine, "2")
        wine.delete_registered_model("wine")
        assert wine.search_model_versions().items == ()
        wine.create_registered_model("wine")
        assert wine.get_history("wine") == []
        assert wine.create_model_version("wine", "s3://b/x").version == "1"

    def test_latest_versions_are_the_newest_of_each_stage(self, wine: RegistryStore) -> None:
        wine.transition_stage("wine", "1", Stage.STAGING)
        wine.transition_stage("wine", "2", Stage.STAGING)
        latest = wine.get_registered_model("wine").latest_versions
        assert {version.stage: version.version for version in latest} == {
            Stage.STAGING: "2",
            Stage.NONE: "3",
        }
        assert numbers(wine.get_latest_versions("wine", ["staging"])) == "2"
        assert numbers(wine.get_latest_versions("wine", ["Production"])) == ""

    def test_search_is_by_name_and_hides_prompts(self, store: RegistryStore) -> None:
        for name in ("b", "a", "c"):
            store.create_registered_model(name)
        store.create_registered_model("prompt", tags=PROMPT)
        first = store.search_registered_models(max_results=2)
        rest = store.search_registered_models(page_token=first.next_page_token)
        assert [model.name for model in (*first.items, *rest.items)] == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("filter_text", "found"),
        [
            ("name = 'a'", "a"),
            ("name LIKE '%'", "ab"),
            ("name ILIKE 'A'", "a"),
            ("name IN ('a', 'p')", "a"),
            ("tags.t = '1'", "a"),
            ("tags.t != '1'", "b"),
            ("tags.`mlflow.prompt.is_prompt` = 'true'", "p"),
            ("tags.`mlflow.prompt.is_prompt` != 'true'", "ab"),
            ("tag.`mlflow.prompt.is_prompt` = 'false' AND name != 'a'", "b"),
            ("tags.`mlflow.prompt.is_prompt` = 'true' AND tags.t = '1'", ""),
        ],
    )
    def test_filters_find_models(self, store: RegistryStore, filter_text: str, found: str) -> None:
        store.create_registered_model("a", tags={"t": "1"})
        store.create_registered_model("b", tags={"t": "2"})
        store.create_registered_model("p", tags=PROMPT)
        page = store.search_registered_models(filter_text=filter_text)
        assert "".join(model.name for model in page.items) == found

    def test_models_are_ordered_by_time(self, store: RegistryStore) -> None:
        for name in "abc":
            store.create_registered_model(name)
        store.update_registered_model("b", "changed")
        for order in ("timestamp DESC", "last_updated_timestamp DESC"):
            page = store.search_registered_models(order_by=[order])
            assert "".join(model.name for model in page.items) == "bca"


class ModelVersionContract:
    """The promises of `ModelVersionStore`."""

    def test_a_created_version_is_given_back(self, wine: RegistryStore) -> None:
        version = wine.create_model_version(
            "wine",
            "s3://bucket/model",
            run_id="r1",
            run_link="http://x",
            description="good",
            tags={"t": "1"},
            user_id="ada",
        )
        assert (version.name, version.version, version.stage) == ("wine", "4", Stage.NONE)
        assert version.source == version.download_uri == "s3://bucket/model"
        assert (version.run_id, version.run_link) == ("r1", "http://x")
        assert (version.description, version.tags) == ("good", {"t": "1"})
        assert version.user_id == "ada"
        assert wine.get_model_version("wine", "4") == version

    def test_a_number_is_never_given_again(self, wine: RegistryStore) -> None:
        wine.delete_model_version("wine", "3")
        assert wine.create_model_version("wine", "s3://b/x").version == "4"

    def test_a_logged_model_is_a_source(self, wine: RegistryStore, tracking: TrackingStore) -> None:
        run_id = tracking.create_run("0").info.run_id
        model = tracking.create_logged_model("0", name="m", source_run_id=run_id)
        version = wine.create_model_version("wine", f"models:/{model.model_id}")
        assert version.source == f"models:/{model.model_id}"
        assert version.download_uri == model.artifact_uri
        assert (version.run_id, version.model_id) == (run_id, model.model_id)

    def test_a_runs_artifact_is_a_source(
        self, wine: RegistryStore, tracking: TrackingStore
    ) -> None:
        info = tracking.create_run("0").info
        version = wine.create_model_version("wine", f"runs:/{info.run_id}/out/model")
        assert version.download_uri == f"{info.artifact_uri}/out/model"
        assert (version.run_id, version.model_id) == (info.run_id, None)

    def test_a_model_logged_beside_a_run_is_found_by_its_name(
        self, wine: RegistryStore, tracking: TrackingStore
    ) -> None:
        run_id = tracking.create_run("0").info.run_id
        model = tracking.create_logged_model("0", name="model", source_run_id=run_id)
        tracking.log_outputs(run_id, [ModelOutput(model.model_id)])
        version = wine.create_model_version("wine", f"runs:/{run_id}/model")
        assert (version.download_uri, version.model_id) == (model.artifact_uri, model.model_id)

    @pytest.mark.parametrize("which", ["/2", "@champion", "/Production"])
    def test_another_version_is_a_source(self, wine: RegistryStore, which: str) -> None:
        promote(wine, "2")
        version = wine.create_model_version("wine", f"models:/wine{which}")
        assert version.download_uri == "s3://bucket/2"

    def test_description_and_tags_change(self, wine: RegistryStore) -> None:
        wine.update_model_version("wine", "1", "good")
        wine.set_model_version_tag("wine", "1", "t", "1")
        wine.set_model_version_tag("wine", "1", "t", "2")
        wine.set_model_version_tag("wine", "1", "u", "3")
        wine.delete_model_version_tag("wine", "1", "u")
        version = wine.get_model_version("wine", "1")
        assert (version.description, version.tags) == ("good", {"t": "2"})

    @pytest.mark.parametrize(
        ("filter_text", "found"),
        [
            ("", "12"),
            ("name = 'wine'", "12"),
            ("name = 'beer'", ""),
            ("run_id = 'r1'", "1"),
            ("run_id IN ('r1', 'r2')", "12"),
            ("source_path LIKE 's3://%/two'", "2"),
            ("version_number > 1", "2"),
            ("tags.t = 'x' AND name = 'wine'", "1"),
            ("tags.`mlflow.prompt.is_prompt` = 'true'", "1"),
        ],
    )
    def test_filters_find_versions(
        self, store: RegistryStore, filter_text: str, found: str
    ) -> None:
        store.create_registered_model("wine")
        store.create_model_version("wine", "s3://b/one", run_id="r1", tags={"t": "x"})
        store.create_model_version("wine", "s3://b/two", run_id="r2")
        store.create_registered_model("ask", tags=PROMPT)
        store.create_model_version("ask", "dummy-source", tags=PROMPT)
        page = store.search_model_versions(filter_text=filter_text, order_by=["version_number"])
        assert numbers(page.items) == found

    def test_search_is_newest_change_first_and_paged(self, wine: RegistryStore) -> None:
        wine.update_model_version("wine", "1", "changed")
        first = wine.search_model_versions(max_results=2)
        rest = wine.search_model_versions(page_token=first.next_page_token)
        assert numbers((*first.items, *rest.items)) == "132"
        assert rest.next_page_token is None


class ReleaseContract:
    """The promises about stages, aliases and their history."""

    def test_an_alias_points_to_one_version(self, wine: RegistryStore) -> None:
        wine.set_alias("wine", "best", "1", user_id="ada", reason="why", run_id="r1")
        wine.set_alias("wine", "best", "2")
        assert wine.get_version_by_alias("wine", "best").version == "2"
        assert wine.get_registered_model("wine").aliases == {"best": "2"}
        assert wine.get_model_version("wine", "1").aliases == ()
        assert wine.get_model_version("wine", "2").aliases == ("best",)
        first, second = wine.get_history("wine")
        assert (first.user_id, first.reason, first.run_id) == ("ada", "why", "r1")
        assert told([first, second]) == ["1 best ->1", "2 best 1>2"]

    def test_latest_is_the_newest_version(self, wine: RegistryStore) -> None:
        assert wine.get_version_by_alias("wine", "latest").version == "3"

    def test_a_removed_alias_is_gone_and_remembered(self, wine: RegistryStore) -> None:
        wine.set_alias("wine", "best", "1")
        wine.delete_alias("wine", "best", user_id="ada")
        wine.delete_alias("wine", "best")
        assert wine.get_registered_model("wine").aliases == {}
        assert told(wine.get_history("wine")) == ["1 best ->1", "1 best 1>-"]

    def test_a_deleted_version_takes_its_aliases_along(self, wine: RegistryStore) -> None:
        wine.set_alias("wine", "best", "1")
        wine.set_alias("wine", "other", "2")
        wine.delete_model_version("wine", "1")
        assert wine.get_registered_model("wine").aliases == {"other": "2"}
        assert told(wine.get_history("wine", "1")) == ["1 best ->1", "1 best 1>-"]

    def test_a_transition_leaves_others_where_they_are(self, wine: RegistryStore) -> None:
        wine.transition_stage("wine", "1", Stage.STAGING)
        version = wine.transition_stage("wine", "2", Stage.STAGING)
        assert version.stage is Stage.STAGING
        assert wine.get_model_version("wine", "1").stage is Stage.STAGING

    def test_a_transition_can_archive_the_others(self, wine: RegistryStore) -> None:
        wine.transition_stage("wine", "1", Stage.STAGING)
        wine.transition_stage("wine", "3", Stage.PRODUCTION)
        wine.transition_stage("wine", "2", Stage.STAGING, archive_existing=True)
        stages = {each.version: each.stage for each in wine.search_model_versions().items}
        assert stages == {"1": Stage.ARCHIVED, "2": Stage.STAGING, "3": Stage.PRODUCTION}

    def test_a_promotion_is_recorded_with_all_that_it_moved(self, wine: RegistryStore) -> None:
        promote(wine, "1")
        version = promote(wine, "2")
        assert (version.stage, version.aliases) == (Stage.PRODUCTION, ("champion",))
        history = wine.get_history("wine")
        assert told(history) == [
            "1 stage None>Production",
            "1 champion ->1",
            "1 stage Production>Archived",
            "2 stage None>Production",
            "2 champion 1>2",
        ]
        assert {(each.user_id, each.reason, each.run_id) for each in history} == {
            ("ada", "better", "r1")
        }
        assert told(wine.get_history("wine", "2")) == told(history[3:])

    def test_promotions_at_once_leave_one_in_production(self, wine: RegistryStore) -> None:
        threads = [threading.Thread(target=promote, args=(wine, each)) for each in "123123"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (only,) = wine.get_latest_versions("wine", ["Production"])
        in_production = [
            each.version
            for each in wine.search_model_versions().items
            if each.stage is Stage.PRODUCTION
        ]
        assert in_production == [only.version]
        assert wine.get_registered_model("wine").aliases == {"champion": only.version}


NOT_FOUND: dict[str, tuple[Call, str]] = {
    "model": (
        lambda s: s.get_registered_model("absent"),
        "Registered Model with name=absent not found",
    ),
    "version's model": (
        lambda s: s.create_model_version("absent", "s3://b/x"),
        "Registered Model with name=absent not found",
    ),
    "version": (
        lambda s: s.get_model_version("wine", "9"),
        "Model Version (name=wine, version=9) not found",
    ),
    "alias to no version": (
        lambda s: s.set_alias("wine", "best", "9"),
        "Model Version (name=wine, version=9) not found",
    ),
    "source": (
        lambda s: s.create_model_version("wine", f"models:/m-{'0' * 32}"),
        f"Logged model with ID 'm-{'0' * 32}' not found.",
    ),
    "source's run": (
        lambda s: s.create_model_version("wine", "runs:/nobody/model"),
        "Run with id=nobody not found",
    ),
    "source's stage": (
        lambda s: s.create_model_version("wine", "models:/wine/Staging"),
        "Registered Model 'wine' has no version in stage 'Staging'.",
    ),
}
INVALID: dict[str, tuple[Call, str]] = {
    "no name": (
        lambda s: s.create_registered_model(" "),
        "Missing value for required parameter 'name'.",
    ),
    "name with slash": (
        lambda s: s.create_registered_model("a/b"),
        "Invalid model name 'a/b'. Names cannot contain '/' or ':'.",
    ),
    "climbing name": (
        lambda s: s.create_registered_model(".."),
        "Invalid value \"..\" for parameter 'name' supplied: Names may be treated as files in "
        "certain cases, and must not resolve to other names when treated as such. "
        "This name would resolve to '..'",
    ),
    "new name": (
        lambda s: s.rename_registered_model("wine", ""),
        "Missing value for required parameter 'new_name'.",
    ),
    "version": (
        lambda s: s.get_model_version("wine", "one"),
        "Parameter 'version' must be an integer, got 'one'.",
    ),
    "stage": (
        lambda s: s.get_latest_versions("wine", ["Live"]),
        "Invalid Model Version stage: Live. "
        "Value must be one of None, Staging, Production, Archived.",
    ),
    "archiving the archived": (
        lambda s: s.transition_stage("wine", "1", Stage.ARCHIVED, archive_existing=True),
        "Model version transition cannot archive existing model versions because 'Archived' is "
        "not an Active stage. Valid stages are ['Staging', 'Production']",
    ),
    "alias latest": (
        lambda s: s.set_alias("wine", "Latest", "1"),
        "'latest' alias name (case insensitive) is reserved.",
    ),
    "alias like a version": (
        lambda s: s.set_alias("wine", "v1", "1"),
        "Version alias name 'v1' is reserved.",
    ),
    "alias characters": (
        lambda s: s.set_alias("wine", "a b", "1"),
        "Invalid alias name: 'a b'. "
        "Names may only contain alphanumerics, underscores (_), and dashes (-).",
    ),
    "empty alias": (
        lambda s: s.set_alias("wine", "", "1"),
        "Registered model alias name cannot be empty.",
    ),
    "unknown alias": (
        lambda s: s.get_version_by_alias("wine", "absent"),
        "Registered model alias absent not found.",
    ),
    "tag value": (
        lambda s: s.set_registered_model_tag("wine", "t", "x" * 100_001),
        "'value' exceeds the maximum length of 100000 characters",
    ),
    "source that climbs": (
        lambda s: s.create_model_version("wine", "runs:/r1/../x"),
        "'runs:/r1/../x' names no model",
    ),
    "order": (
        lambda s: s.search_registered_models(order_by=["run_id"]),
        "Invalid attribute key 'run_id' specified. Valid keys are "
        "'{'creation_timestamp', 'last_updated_timestamp', 'name', 'timestamp'}'",
    ),
    "too many results": (
        lambda s: s.search_registered_models(max_results=1001),
        "Invalid value 1001 for parameter 'max_results' supplied. It must be at most 1000",
    ),
}


class RefusalContract:
    """Which error, and in which words: MLflow's, since its clients look for them."""

    told: ClassVar[Mapping[str, str]] = {}
    """Cases that this store, or what checks before it does, refuses in other words."""

    @pytest.mark.parametrize("case", NOT_FOUND)
    def test_what_is_missing_is_not_found(self, wine: RegistryStore, case: str) -> None:
        call, message = NOT_FOUND[case]
        with pytest.raises(NotFoundError) as error:
            call(wine)
        assert error.value.message == self.told.get(case, message)

    @pytest.mark.parametrize("case", INVALID)
    def test_bad_values_are_refused(self, wine: RegistryStore, case: str) -> None:
        call, message = INVALID[case]
        with pytest.raises(InvalidValueError) as error:
            call(wine)
        assert error.value.message == self.told.get(case, message)


class RegistryStoreContract(
    RegisteredModelContract,
    ModelVersionContract,
    ReleaseContract,
    RollbackContract,
    RefusalContract,
):
    """All promises of `RegistryStore`."""
