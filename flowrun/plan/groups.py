"""Groups of which only so many members may be under way at once: `max_parallel`, `concurrency`.

A member is a step, or a nested pipeline from the start of its first step to its end. Whoever finds
a group full waits outside, without a slot, until a member has ended. A nested pipeline that is
under way is never kept waiting by its own group, and a step gets into all its groups at once or
into none, so nobody waits for each other.
"""

from __future__ import annotations

import heapq

from flowrun.plan.plan import Membership, PlannedStep


class Groups:
    """Who is under way in each group, and who waits outside."""

    def __init__(self) -> None:
        """Begin with nobody under way."""
        self._inside: dict[str, set[str]] = {}
        self._outside: dict[str, tuple[Membership, list[int]]] = {}
        self._freed: list[str] = []

    def enter(self, place: int, step: PlannedStep) -> bool:
        """Let a step into its groups; if one is full, it waits outside of that.

        Args:
            place: the step's position in the plan: who is first there is let in first.
            step: nothing that it needs is still to end.
        """
        groups = memberships(step)
        for each in groups:
            if not self._has_room(each):
                _, waiting = self._outside.setdefault(each.group, (each, []))
                heapq.heappush(waiting, place)
                return False
        for each in groups:
            self._inside.setdefault(each.group, set()).add(each.member)
        return True

    def leave(self, step: PlannedStep) -> None:
        """Let a step out that has ended, if it was inside."""
        for each in memberships(step):
            if each.member == step.id and step.id in self._inside.get(each.group, ()):
                self._inside[each.group].discard(step.id)
                self._freed.append(each.group)

    def next(self) -> int | None:
        """Return who may try to enter now; the caller lets it try, or drops it."""
        while self._freed:
            first, waiting = self._outside.get(self._freed[-1], (None, []))
            limit = first.limit if first else None
            if waiting and (limit is None or len(self._inside[self._freed[-1]]) < limit):
                return heapq.heappop(waiting)
            self._freed.pop()
        return None

    def _has_room(self, membership: Membership) -> bool:
        inside = self._inside.get(membership.group, ())
        limit = membership.limit
        return limit is None or membership.member in inside or len(inside) < limit


def memberships(step: PlannedStep) -> tuple[Membership, ...]:
    """Return all groups that a step counts in."""
    if step.concurrency is None:
        return step.members
    return (*step.members, Membership(f"concurrency {step.concurrency}", step.id, 1))
