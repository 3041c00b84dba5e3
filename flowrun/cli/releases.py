"""`flowrun models promote`, `approve`, `reject`, `rollback` and what is said about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.history import (
    print_history,
    print_requests,
    request_to_json,
    transition_to_json,
)
from flowrun.cli.naming import named_version, the_version
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.cli.tables import printable
from flowrun.engine.release.approving import approve, ask_text
from flowrun.errors import NotFoundError, UsageError
from flowrun.registry.approval import RULE_PREFIX, Rule, rule_tag
from flowrun.registry.entities import ModelVersion, Stage, parse_stage
from flowrun.registry.missing import asking
from flowrun.registry.requests import (
    Asked,
    Decision,
    Move,
    PromotionRequest,
    RequestStatus,
    check_move,
    one_line,
)
from flowrun.registry.required import check_required, check_way_back, machine_keys
from flowrun.registry.store import RegistryStore

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Version = Annotated[str, typer.Argument(metavar="NAME/VERSION|NAME@ALIAS")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
ToStage = Annotated[
    str | None, typer.Option("--to", "--stage", metavar="STAGE", help="Staging, Production, ...")
]
ToAlias = Annotated[str | None, typer.Option("--alias", help="An alias, such as champion.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept in the history.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]


@app.command("promote")
def promote_command(
    ctx: typer.Context,
    version: Version,
    to: ToStage = None,
    alias: ToAlias = None,
    comment: Comment = "",
    request: Annotated[
        bool, typer.Option("--request", help="Ask for it: somebody has to approve it.")
    ] = False,
    keep_existing: Annotated[
        bool, typer.Option("--keep-existing", help="Leave others in the stage; default: archive.")
    ] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Move a version to a stage, an alias, or both at once."""
    settings = settings_of(ctx, tracking_uri)
    stage = parse_stage(to) if to else None
    move = Move(stage, alias, stage in {Stage.STAGING, Stage.PRODUCTION} and not keep_existing)
    check_move(move)
    with api.open_default_stores(settings) as stores:
        found = the_version(stores.registry, version)
        keys = machine_keys(settings.variables, settings.cwd)
        check_required(stores, found.name, found.version, move, keys)
        if request:
            asked = Asked(settings.user, comment)
            made = stores.registry.request_promotion(found.name, found.version, move, asked)
            typer.echo(ask_text(made))
            return
        moved = stores.registry.promote(
            found.name,
            found.version,
            stage=move.stage,
            alias=move.alias,
            archive_existing=move.archive_existing,
            user_id=settings.user,
            reason=comment,
            run_id=None,
        )
    typer.echo(_now(moved, str(move)))


def _decision_command(*, is_approved: bool) -> Callable[..., None]:
    """Make one of two commands that take the same words, and differ in what they decide."""

    def decide(
        ctx: typer.Context,
        version: Version,
        to: ToStage = None,
        alias: ToAlias = None,
        comment: Comment = "",
        tracking_uri: TrackingUri = None,
    ) -> None:
        settings = settings_of(ctx, tracking_uri)
        decision = Decision(is_approved=is_approved, user_id=settings.user, comment=comment)
        with api.open_default_stores(settings) as stores:
            request = _pending(stores.registry, version, to, alias)
            if is_approved:
                keys = machine_keys(settings.variables, settings.cwd)
                check_required(stores, request.name, request.version, request.move, keys)
                approve(stores.registry, stores.tracking, request, decision)
            else:
                stores.registry.decide_promotion(request.request_id, decision)
        word = "is now" if is_approved else "does not become"
        typer.echo(f"{printable(request.version_uri)} {word} {request.move}")

    return decide


app.command(
    "approve",
    help="Approve what was asked for: the version moves at once, if its condition still holds.",
)(_decision_command(is_approved=True))
app.command("reject", help="Reject what was asked for: the version stays where it is.")(
    _decision_command(is_approved=False)
)


@app.command("requests")
def requests_command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Decided ones as well.")] = False,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """List the promotions that wait for an approval."""
    status = None if show_all else RequestStatus.PENDING
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        found = stores.registry.list_promotion_requests(name, status)
    if as_json:
        typer.echo(json.dumps([request_to_json(request) for request in found], indent=2))
    else:
        print_requests(found)


@app.command("rollback")
def rollback_command(
    ctx: typer.Context,
    name: Name,
    stage: ToStage = None,
    alias: ToAlias = None,
    comment: Comment = "",
    tracking_uri: TrackingUri = None,
) -> None:
    """Take the last promotion back, stage and alias together; again, one more."""
    settings = settings_of(ctx, tracking_uri)
    to = parse_stage(stage) if stage else None
    keys = machine_keys(settings.variables, settings.cwd)
    with api.open_default_stores(settings) as stores, asking(stores.registry, name):
        version = stores.registry.roll_back(
            name,
            stage=to,
            alias=alias,
            user_id=settings.user,
            reason=comment,
            expected=check_way_back(stores, name, stage=to, alias=alias, keys=keys),
        )
        last = stores.registry.get_history(name, version.version)[-1]
    places = (version.stage.value, *(f"@{each}" for each in version.aliases))
    typer.echo(f"{_now(version, ' and '.join(places))} ({one_line(last.reason)})")


@app.command("history")
def history_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[/VERSION|@ALIAS]")],
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Tell who moved which version where, when, why and by which run."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, name):
        registry = stores.registry
        version = named_version(registry, name)
        model = name if version is None else version.name
        number = None if version is None else version.version
        history = registry.get_history(model, number)
        requests = registry.list_promotion_requests(model) if registry.keeps_requests else []
    requests = [each for each in requests if number in {None, each.version}]
    if as_json:
        data = {
            "moves": [transition_to_json(line) for line in history],
            "requests": [request_to_json(request) for request in requests],
        }
        typer.echo(json.dumps(data, indent=2))
    elif history or requests:
        print_history(history, requests)
    else:
        typer.echo(f"nothing was moved yet: every version of {printable(model)} is as it was made")


@app.command("rule")
def rule_command(
    ctx: typer.Context,
    name: Name,
    stage: ToStage = None,
    alias: ToAlias = None,
    approver: Annotated[
        list[str] | None,
        typer.Option(metavar="USER", help="Who may approve; may be given several times."),
    ] = None,
    by_another: Annotated[
        bool, typer.Option("--by-another", help="Whoever asks may not approve.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Guard it no more.")] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Let versions into a stage or alias with an approval only; without one, list such rules."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores, asking(stores.registry, name):
        registry = stores.registry
        if stage is None and alias is None:
            _list_rules(registry, name)
            return
        if not registry.keeps_requests:
            raise UsageError("MLflow's own server keeps no rules: anybody may move a version there")
        move = Move(parse_stage(stage) if stage else None, alias)
        for place in move.places:
            if remove:
                registry.delete_registered_model_tag(name, rule_tag(place))
            else:
                rule = Rule(tuple(approver or ()), by_another)
                registry.set_registered_model_tag(name, rule_tag(place), rule.text)
        _list_rules(registry, name)


def _list_rules(registry: RegistryStore, name: str) -> None:
    tags = registry.get_registered_model(name).tags
    found = {k.removeprefix(RULE_PREFIX): v for k, v in tags.items() if k.startswith(RULE_PREFIX)}
    if not found:
        typer.echo(f"{printable(name)}: anybody may move a version anywhere")
    for place, text in found.items():
        typer.echo(f"{printable(name)} {printable(place)}: {printable(text)}")


def _pending(
    registry: RegistryStore, version: str, stage: str | None, alias: str | None
) -> PromotionRequest:
    """Give the one request that is meant."""
    name, number = _numbered(registry, version)
    wanted = Move(parse_stage(stage) if stage else None, alias)
    with asking(registry, name):
        requests = registry.list_promotion_requests(name)
    requests = [each for each in requests if each.version == number]
    pending = [
        each
        for each in requests
        if each.status is RequestStatus.PENDING and set(wanted.places) <= set(each.move.places)
    ]
    if len(pending) > 1:
        shown = "; ".join(str(each.move) for each in pending)
        raise UsageError(
            f"{name}/{number} was asked to become several things: {shown}",
            "Say which: --to STAGE, --alias ALIAS.",
        )
    if not pending:
        raise NotFoundError(f"nobody asks for {name}/{number}{_last(requests)}")
    return pending[0]


def _numbered(registry: RegistryStore, text: str) -> tuple[str, str]:
    """Give name and number of a version, which may have been deleted meanwhile."""
    name, _, number = text.removeprefix("models:/").rpartition("/")
    if name and number.isdigit():
        return name, str(int(number))
    version = the_version(registry, text)
    return version.name, version.version


def _last(requests: list[PromotionRequest]) -> str:
    if not requests:
        return ""
    last = requests[-1]
    by = f" by {one_line(last.decided_by)}" if last.decided_by else ""
    why = f": {one_line(last.comment)}" if last.comment else ""
    return f" (any more): its last request, to {last.move}, was {last.status}{by}{why}"


def _now(version: ModelVersion, places: str) -> str:
    return f"{printable(version.name)} version {version.version} is now {places}"
