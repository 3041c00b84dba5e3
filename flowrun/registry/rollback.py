"""Which version had a place before: what a rollback goes back to, read from the history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from flowrun.errors import InvalidStateError, InvalidValueError
from flowrun.registry.entities import Stage, Transition
from flowrun.registry.requests import Move
from flowrun.valueclass import valueclass

ROLLBACK = "rollback"
"""What `Transition.via` says of a rollback's own lines."""


@valueclass
class Rollback:
    """What goes back, from which version to which."""

    current: str
    target: str
    move: Move


@valueclass
class _Act:
    """All that was moved at once."""

    lines: tuple[Transition, ...]

    @property
    def is_rollback(self) -> bool:
        return self.lines[0].via == ROLLBACK

    def entering(self, place: str) -> str | None:
        """Give the version that got a place."""
        return next((v for p, v in self.entered if p == place), None)

    @property
    def entered(self) -> list[tuple[str, str]]:
        """The places that versions got; to be in no stage, or archived, is to have none."""
        return [
            (f"@{line.alias}" if line.kind == "alias" else line.after, line.version)
            for line in self.lines
            if line.after not in {"", Stage.NONE, Stage.ARCHIVED}
        ]


def find_rollback(
    name: str,
    history: Sequence[Transition],
    living: Collection[str],
    *,
    stage: Stage | None,
    alias: str | None,
    expected: str | None = None,
) -> Rollback:
    """Say what a rollback does: the last promotion is taken back, stage and alias together.

    A rollback itself is taken back by none: the next one goes back one more.

    Args:
        name: of the model.
        history: of the model, oldest first.
        living: the versions that are left.
        stage: whose last promotion is taken back; with neither, that of Production, or of the only
            place that the model's versions ever had.
        alias: the same.
        expected: the version that somebody has looked at, to which it has to lead.

    Raises:
        InvalidStateError: there is nothing to go back to, or it is another version than expected.
        InvalidValueError: it has to be said which place.
    """
    acts = [_Act(tuple(lines)) for _, lines in groupby(history, key=_moment)]
    place = _place(name, acts, stage, alias)
    stack: list[tuple[_Act, str]] = []
    for act in acts:
        version = act.entering(place)
        if version is None:
            continue
        while act.is_rollback and stack and stack[-1][1] != version:
            stack.pop()
        if not stack or stack[-1][1] != version:
            stack.append((act, version))
    if not stack:
        raise InvalidStateError(f"no version of '{name}' was ever in {place}: nothing to go back")
    last, current = stack.pop()
    while stack and (stack[-1][1] not in living or stack[-1][1] == current):
        stack.pop()
    if not stack:
        raise InvalidStateError(
            f"version {current} of '{name}' is the first in {place} that there still is: "
            "nothing to go back to"
        )
    target = stack[-1][1]
    if expected is not None and target != expected:
        raise InvalidStateError(
            f"the way back of '{name}' leads to version {target} by now, not to {expected}: "
            "somebody has moved a version meanwhile",
            "Look at `flowrun models history`, and roll back again if that is still wanted.",
        )
    places = [p for p, version in last.entered if version == current]
    stages = [Stage(each) for each in places if not each.startswith("@")]
    aliases = [each.removeprefix("@") for each in places if each.startswith("@")]
    # An alias that somebody has pointed elsewhere since is not what is taken back.
    aliases = [each for each in aliases if _points_to(history, each) == current]
    move = Move(stages[0] if stages else None, aliases[0] if aliases else None)
    return Rollback(current, target, move)


def _points_to(history: Sequence[Transition], alias: str) -> str:
    return next(line.after for line in reversed(history) if line.alias == alias)


def _moment(line: Transition) -> tuple[int, str, str, str | None, str]:
    """Tell what was done at once: a transaction writes all its lines with one time."""
    return line.time_ms, line.user_id, line.reason, line.run_id, line.via


def _place(name: str, acts: Sequence[_Act], stage: Stage | None, alias: str | None) -> str:
    if stage is not None and alias is not None:
        raise InvalidValueError("give a stage or an alias: what was promoted to both goes back")
    if stage in {Stage.NONE, Stage.ARCHIVED}:
        raise InvalidValueError(f"there is no way back into '{stage}': no version is chosen for it")
    if stage is not None:
        return stage.value
    if alias is not None:
        return f"@{alias}"
    places = list(dict.fromkeys(place for act in acts for place, _ in act.entered))
    if Stage.PRODUCTION in places or not places:
        return Stage.PRODUCTION.value
    if len(places) > 1:
        shown = ", ".join(places)
        raise InvalidValueError(f"say which place of '{name}' goes back: it has {shown}")
    return places[0]
