"""Who may decide about a promotion: the rules that a registered model carries.

A rule is a tag of the registered model, one for each place that it guards, so that it is seen,
copied and imported like any other: `flowrun.approval.stage.Production`,
`flowrun.approval.alias.champion`. A guarded place is entered by an approved request alone, whoever
asks and by whatever client.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from flowrun.errors import InvalidStateError, InvalidValueError
from flowrun.registry.requests import Move
from flowrun.valueclass import valueclass

RULE_PREFIX = "flowrun.approval."
"""Of the tags' names; the kind of place and its name follow."""


@valueclass
class Rule:
    """What guards a place."""

    approvers: tuple[str, ...] = ()
    """Who may decide; none: anybody."""
    by_another: bool = False
    """Whoever asked may not decide."""

    @property
    def text(self) -> str:
        """The tag's value."""
        return json.dumps({"approvers": list(self.approvers), "by_another": self.by_another})

    def __str__(self) -> str:
        """Return it for people."""
        who = " or ".join(self.approvers) or "anybody"
        return f"{who} but the one who asks" if self.by_another else who


def parse_rule(text: str) -> Rule:
    """Read a tag's value.

    Raises:
        InvalidValueError: it is no rule.
    """
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    approvers = data.get("approvers", []) if isinstance(data, dict) else None
    by_another = data.get("by_another", False) if isinstance(data, dict) else None
    is_list = isinstance(approvers, list) and all(isinstance(each, str) for each in approvers)
    if not isinstance(approvers, list) or not is_list or not isinstance(by_another, bool):
        raise InvalidValueError(
            f"'{text[:100]}' is no rule for approvals; one is "
            '{"approvers": ["ada"], "by_another": true}'
        )
    return Rule(tuple(approvers), by_another)


def rule_tag(place: str) -> str:
    """Give the tag's name for a place, which is a stage or `@alias`."""
    kind = "alias" if place.startswith("@") else "stage"
    return f"{RULE_PREFIX}{kind}.{place.removeprefix('@')}"


def check_rule_tag(key: str, value: str) -> None:
    """Refuse a tag of a registered model that names a rule and is none."""
    if key.startswith(RULE_PREFIX):
        parse_rule(value)


def rules_of(tags: Mapping[str, str], move: Move) -> dict[str, Rule]:
    """Give the rules that guard the places of a move, by place.

    Args:
        tags: of the registered model.
        move: where a version is to go.

    Raises:
        InvalidStateError: one can't be read, so that nobody can keep it.
    """
    found = {place: tags.get(rule_tag(place)) for place in move.places}
    try:
        return {place: parse_rule(text) for place, text in found.items() if text is not None}
    except InvalidValueError as error:
        raise InvalidStateError(
            f"the rule for {move} can't be kept: {error.message}",
            "Set it anew: flowrun models rule",
        ) from error


def guarded(name: str, rules: Mapping[str, Rule]) -> str:
    """Say that a version can't be moved without an approval."""
    places = " and ".join(rules)
    return f"{places} of '{name}' is entered with an approval only (by {_whose(rules.values())})"


def refusal(
    rules: Iterable[Rule], approvers: tuple[str, ...], asked_by: str, user_id: str
) -> str | None:
    """Say why somebody may not decide about a request; None: he may.

    Args:
        rules: of all places that the version is to go to.
        approvers: whom the request itself names; none: anybody.
        asked_by: who made the request; '' is nobody known.
        user_id: who wants to decide.
    """
    for rule in (*rules, Rule(approvers)):
        if rule.approvers and user_id not in rule.approvers:
            who = f"'{user_id}'" if user_id else "somebody unknown"
            return f"{who} may not decide this: it takes {' or '.join(rule.approvers)}"
        if rule.by_another and user_id in {"", asked_by}:
            who = f"'{user_id}'" if user_id else "somebody unknown"
            return f"{who} may not decide this: it takes another than the one who asked"
    return None


def no_approvals_text(uri: str) -> str:
    """Say that a server knows nothing of approvals."""
    return (
        f"`approval: required` needs flowrun's own registry, and {uri} is MLflow's server, whose "
        "protocol knows no requests; record on a `flowrun server`, or leave `approval` out"
    )


def _whose(rules: Iterable[Rule]) -> str:
    return "; ".join(dict.fromkeys(str(rule) for rule in rules))
