"""The promises of `PromotionRequestStore`: stores that keep requests subclass `RequestContract`.

Fixtures: `wine`, a registry with the model `wine`, which has versions 1 to 3. Of what is asked
about a rollback, every registry keeps `RollbackContract`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from flowrun.errors import (
    FlowrunError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
)
from flowrun.registry.approval import Rule, rule_tag
from flowrun.registry.entities import Stage
from flowrun.registry.requests import Asked, Decision, Move, PromotionRequest, RequestStatus
from flowrun.registry.store import RegistryStore

TO_PRODUCTION = Move(Stage.PRODUCTION, "champion")
YES, NO = Decision(is_approved=True, user_id="bob"), Decision(is_approved=False, user_id="bob")

FINE, TOO_SLOW = replace(YES, comment="looks fine"), replace(NO, comment="too slow")


def promote(
    store: RegistryStore, version: str, move: Move = TO_PRODUCTION, holder: str | None = None
) -> None:
    store.promote(
        "wine",
        version,
        stage=move.stage,
        alias=move.alias,
        archive_existing=move.archive_existing and move.stage is not None,
        user_id="ada",
        reason="better",
        run_id=None,
        holder=holder,
    )


def ask(store: RegistryStore, version: str, asked: Asked | None = None) -> PromotionRequest:
    return store.request_promotion("wine", version, TO_PRODUCTION, asked or Asked("ada", "better"))


def champion(store: RegistryStore) -> str:
    """Give who is in Production, if the alias says the same."""
    (found,) = store.get_latest_versions("wine", ["Production"])
    assert store.get_registered_model("wine").aliases == {"champion": found.version}
    return found.version


def refused(call: Callable[[], object], kind: type[FlowrunError]) -> str:
    with pytest.raises(kind) as error:
        call()
    return error.value.message


class RequestContract:
    """The promises about requests and what guards a place."""

    def test_a_request_moves_nothing_until_it_is_approved(self, wine: RegistryStore) -> None:
        request = ask(wine, "2")
        assert wine.keeps_requests
        assert (request.version_uri, str(request.move)) == ("wine/2", "Production and @champion")
        assert wine.get_latest_versions("wine", ["Production"]) == []
        decided = wine.decide_promotion(request.request_id, FINE)
        assert (decided.status, decided.decided_by) == (RequestStatus.APPROVED, "bob")
        assert wine.get_promotion_request(request.request_id) == decided
        assert champion(wine) == "2"
        assert {(line.user_id, line.reason, line.via) for line in wine.get_history("wine")} == {
            ("bob", "looks fine", "approval")
        }

    def test_a_rejected_version_stays_where_it_is(self, wine: RegistryStore) -> None:
        request = ask(wine, "2")
        decided = wine.decide_promotion(request.request_id, TOO_SLOW)
        assert (decided.status, decided.comment) == (RequestStatus.REJECTED, "too slow")
        assert wine.get_history("wine") == []

    def test_a_request_is_decided_once(self, wine: RegistryStore) -> None:
        request = ask(wine, "2")
        wine.decide_promotion(request.request_id, TOO_SLOW)
        message = refused(lambda: wine.decide_promotion(request.request_id, YES), FlowrunError)
        assert message == (
            "the request that wine/2 be Production and @champion was rejected by bob: too slow"
        )

    def test_of_two_who_decide_at_once_one_is_refused(self, wine: RegistryStore) -> None:
        request = ask(wine, "2")
        told: list[str] = []

        def decide(decision: Decision) -> None:
            try:
                told.append(wine.decide_promotion(request.request_id, decision).status)
            except FlowrunError:
                told.append("refused")

        threads = [threading.Thread(target=decide, args=(each,)) for each in (YES, NO)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        status = wine.get_promotion_request(request.request_id).status
        assert sorted(told) == sorted(["refused", status])

    def test_the_same_request_again_is_the_pending_one(self, wine: RegistryStore) -> None:
        first = ask(wine, "2")
        assert ask(wine, "2", Asked("eve")) == first
        other = wine.request_promotion("wine", "2", Move(alias="champion"), Asked("eve"))
        third = ask(wine, "3")
        wine.decide_promotion(first.request_id, NO)
        again = ask(wine, "2")
        pending = wine.list_promotion_requests("wine", RequestStatus.PENDING)
        assert [each.request_id for each in pending] == [
            each.request_id for each in (other, third, again)
        ]
        assert wine.list_promotion_requests(status=RequestStatus.PENDING) == pending
        assert len(wine.list_promotion_requests()) == 4

    def test_what_a_request_says_is_given_back(self, wine: RegistryStore) -> None:
        asked = Asked("ada", "why", "r1", '{"text": "x"}', "", ("bob", "eve"))
        request = ask(wine, "2", asked)
        found = wine.get_promotion_request(request.request_id)
        assert (found.user_id, found.reason, found.run_id) == ("ada", "why", "r1")
        assert (found.condition, found.holder, found.approvers) == (
            '{"text": "x"}',
            "",
            ("bob", "eve"),
        )

    def test_a_changed_champion_has_to_be_looked_at_again(self, wine: RegistryStore) -> None:
        promote(wine, "1")
        request = ask(wine, "2", Asked("ada", holder="1"))
        promote(wine, "3")
        message = refused(lambda: wine.decide_promotion(request.request_id, YES), FlowrunError)
        assert message == (
            "Production and @champion of 'wine' is held by version 3, no longer by version 1, "
            "with which it was compared: look at the condition again"
        )
        assert wine.get_promotion_request(request.request_id).status is RequestStatus.PENDING
        wine.decide_promotion(request.request_id, replace(YES, holder="3"))
        assert champion(wine) == "2"

    def test_a_request_of_a_deleted_version_is_cancelled(self, wine: RegistryStore) -> None:
        request = ask(wine, "2")
        wine.delete_model_version("wine", "2")
        message = refused(lambda: wine.decide_promotion(request.request_id, YES), FlowrunError)
        assert message == (
            "the request that wine/2 be Production and @champion was cancelled: its version was "
            "deleted"
        )

    @pytest.mark.parametrize(
        ("rule", "who"),
        [
            (None, {"bob": True, "ada": True, "eve": True, "": True}),
            (Rule(("bob",)), {"bob": True, "ada": False, "eve": False, "": False}),
            (Rule(by_another=True), {"bob": True, "ada": False, "eve": True, "": False}),
            (Rule(("ada", "bob"), by_another=True), {"bob": True, "ada": False, "eve": False}),
        ],
        ids=["no rule", "by name", "by another", "by name and another"],
    )
    def test_a_rule_says_who_may_decide(
        self, wine: RegistryStore, rule: Rule | None, who: dict[str, bool]
    ) -> None:
        if rule is not None:
            wine.set_registered_model_tag("wine", rule_tag("@champion"), rule.text)
        for user, may in who.items():
            request = ask(wine, "2")
            decision = Decision(is_approved=False, user_id=user)
            if may:
                wine.decide_promotion(request.request_id, decision)
            else:
                with pytest.raises(PermissionDeniedError, match="may not decide this"):
                    wine.decide_promotion(request.request_id, decision)

    def test_a_request_may_name_its_own_approvers(self, wine: RegistryStore) -> None:
        request = ask(wine, "2", Asked("ada", approvers=("eve",)))
        message = refused(
            lambda: wine.decide_promotion(request.request_id, YES), PermissionDeniedError
        )
        assert "'bob' may not decide this: it takes eve" in message

    def test_a_guarded_place_is_entered_by_no_other_way(self, wine: RegistryStore) -> None:
        rule = Rule(("bob",))
        for place in ("Production", "@champion"):
            wine.set_registered_model_tag("wine", rule_tag(place), rule.text)
        ways: list[Callable[[], object]] = [
            lambda: promote(wine, "2"),
            lambda: wine.transition_stage("wine", "2", Stage.PRODUCTION),
            lambda: wine.set_alias("wine", "champion", "2"),
        ]
        told = [refused(way, PermissionDeniedError) for way in ways]
        assert "Production of 'wine' is entered with an approval only (by bob)" in told[1]
        assert wine.get_history("wine") == []
        wine.transition_stage("wine", "2", Stage.STAGING)
        wine.decide_promotion(ask(wine, "2").request_id, YES)
        assert champion(wine) == "2"

    def test_what_is_no_rule_is_no_tag_either(self, wine: RegistryStore) -> None:
        message = refused(
            lambda: wine.set_registered_model_tag("wine", rule_tag("Production"), "bob"),
            InvalidValueError,
        )
        assert message == (
            '\'bob\' is no rule for approvals; one is {"approvers": ["ada"], "by_another": true}'
        )

    def test_an_approver_alone_goes_back_in_a_guarded_place(self, wine: RegistryStore) -> None:
        promote(wine, "1")
        promote(wine, "2")
        rule = Rule(("bob",), by_another=True)
        wine.set_registered_model_tag("wine", rule_tag("Production"), rule.text)
        with pytest.raises(PermissionDeniedError):
            wine.roll_back("wine", stage=None, alias=None, user_id="eve", reason="")
        wine.roll_back("wine", stage=None, alias=None, user_id="bob", reason="")
        assert champion(wine) == "1"

    @pytest.mark.parametrize("move", [Move(), Move(Stage.ARCHIVED), Move(alias="v1")], ids=str)
    def test_an_impossible_move_is_no_request(self, wine: RegistryStore, move: Move) -> None:
        with pytest.raises(InvalidValueError):
            wine.request_promotion("wine", "2", move, Asked())

    def test_what_is_too_long_is_not_kept(self, wine: RegistryStore) -> None:
        for asked in (Asked(reason="x" * 10_001), Asked(condition="x" * 100_001)):
            with pytest.raises(InvalidValueError, match="exceeds the maximum length"):
                ask(wine, "2", asked)
        request = ask(wine, "2")
        with pytest.raises(InvalidValueError, match="'comment' exceeds the maximum length"):
            wine.decide_promotion(request.request_id, replace(YES, comment="x" * 10_001))

    @pytest.mark.parametrize("request_id", ["77", "x", "", "1" * 40])
    def test_an_unknown_request_is_refused(self, wine: RegistryStore, request_id: str) -> None:
        with pytest.raises((NotFoundError, InvalidValueError)):
            wine.get_promotion_request(request_id)
        with pytest.raises((NotFoundError, InvalidValueError)):
            wine.decide_promotion(request_id, YES)


class RollbackContract:
    """The promises about the way back, and about promotions that compare."""

    def test_stage_and_alias_go_back_together_and_further_each_time(
        self, wine: RegistryStore
    ) -> None:
        for version in "123":
            promote(wine, version)
        held = []
        for _ in range(2):
            wine.roll_back("wine", stage=None, alias=None, user_id="bob", reason="")
            held.append(champion(wine))
        assert held == ["2", "1"]
        message = refused(
            lambda: wine.roll_back("wine", stage=None, alias=None, user_id="bob", reason=""),
            FlowrunError,
        )
        assert message == (
            "version 1 of 'wine' is the first in Production that there still is: nothing to go "
            "back to"
        )
        last = wine.get_history("wine")[-1]
        assert (last.user_id, last.reason, last.via) == ("bob", "back from version 2", "rollback")
        promote(wine, "3")
        assert (
            wine.roll_back(
                "wine", stage=Stage.PRODUCTION, alias=None, user_id="", reason=""
            ).version
            == champion(wine)
            == "1"
        )

    def test_a_way_back_that_leads_elsewhere_by_now_is_refused(self, wine: RegistryStore) -> None:
        for version in "123":
            promote(wine, version)

        def roll_back(expected: str) -> None:
            wine.roll_back("wine", stage=None, alias=None, user_id="", reason="", expected=expected)

        assert refused(lambda: roll_back("1"), FlowrunError).startswith(
            "the way back of 'wine' leads to version 2 by now, not to 1"
        )
        assert champion(wine) == "3"
        roll_back("2")
        assert champion(wine) == "2"

    def test_a_version_that_was_deleted_is_passed_over(self, wine: RegistryStore) -> None:
        for version in "123":
            promote(wine, version)
        wine.delete_model_version("wine", "2")
        wine.roll_back("wine", stage=None, alias="champion", user_id="", reason="")
        assert champion(wine) == "1"

    def test_an_alias_alone_goes_back_alone(self, wine: RegistryStore) -> None:
        promote(wine, "1", Move(alias="best"))
        promote(wine, "2", Move(alias="best"))
        wine.roll_back("wine", stage=None, alias=None, user_id="", reason="")
        assert wine.get_registered_model("wine").aliases == {"best": "1"}

    def test_an_alias_that_has_moved_on_stays(self, wine: RegistryStore) -> None:
        promote(wine, "1")
        promote(wine, "2")
        wine.set_alias("wine", "champion", "3")
        wine.roll_back("wine", stage=Stage.PRODUCTION, alias=None, user_id="", reason="")
        assert wine.get_latest_versions("wine", ["Production"])[0].version == "1"
        assert wine.get_registered_model("wine").aliases == {"champion": "3"}

    @pytest.mark.parametrize(
        ("stage", "alias", "told"),
        [
            (None, None, "no version of 'wine' was ever in Production: nothing to go back"),
            (None, "best", "no version of 'wine' was ever in @best: nothing to go back"),
            (
                Stage.ARCHIVED,
                None,
                "there is no way back into 'Archived': no version is chosen for it",
            ),
        ],
    )
    def test_there_may_be_no_way_back(
        self, wine: RegistryStore, stage: Stage | None, alias: str | None, told: str
    ) -> None:
        message = refused(
            lambda: wine.roll_back("wine", stage=stage, alias=alias, user_id="", reason=""),
            FlowrunError,
        )
        assert message == told

    def test_which_way_back_is_asked_where_there_are_several(self, wine: RegistryStore) -> None:
        wine.transition_stage("wine", "1", Stage.STAGING)
        wine.set_alias("wine", "best", "2")
        message = refused(
            lambda: wine.roll_back("wine", stage=None, alias=None, user_id="", reason=""),
            InvalidValueError,
        )
        assert message == "say which place of 'wine' goes back: it has Staging, @best"

    def test_a_promotion_that_compared_with_another_champion_is_refused(
        self, wine: RegistryStore
    ) -> None:
        promote(wine, "1", holder="")
        promote(wine, "2", holder="1")
        with pytest.raises((InvalidStateError, InvalidValueError), match="look at the condition"):
            promote(wine, "3", holder="1")
        assert champion(wine) == "2"
