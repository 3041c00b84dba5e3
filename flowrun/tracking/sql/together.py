"""Calls that write the same kind of thing at the same time, in one transaction.

A transaction for a single point costs a database server mostly what every transaction costs: its
begin and locks, two waits, a commit. So while one is under way, further calls of the same kind
gather, and the first of them writes for all that came. Nobody waits longer for it: they would have
got their turn then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from flowrun.errors import FlowrunError, StoreUnavailableError
from flowrun.tracking.sql.database import A, B, WriteAll, result_of, write_alone
from flowrun.tracking.turns import Meeting, is_turn


class Together:
    """The calls that gather, by what they write."""

    def __init__(self) -> None:
        """Begin with none."""
        self._gatherings: dict[object, _Gathering[Any, Any]] = {}

    def write(self, write: WriteAll[A, B], item: A) -> B:
        """Write an item along with those that others bring meanwhile; give what became of it.

        Only calls that take turns gather: a thread writes alone.

        Raises:
            FlowrunError: what `write` said of this item, or of all.
        """
        if not is_turn():
            return write_alone(write, item)
        gathering = self._gatherings.setdefault(write, _Gathering(write))
        result: B = gathering.take(item)
        return result


class _Gathering(Generic[A, B]):
    def __init__(self, write: WriteAll[A, B]) -> None:
        self._write = write
        self._waiting: list[_Item[A, B]] = []
        self._writer: _Item[A, B] | None = None
        """Whose call writes now, or will as soon as it has its turn."""

    def take(self, given: A) -> B:
        item = _Item[A, B](given)
        self._waiting.append(item)
        if self._writer is None:
            self._writer = item
        else:
            self._wait(item)
        if self._writer is item:
            self._write_all()
        if not item.results:
            return write_alone(self._write, given)
        return result_of(item.results[0])

    def _wait(self, item: _Item[A, B]) -> None:
        """Wait until an item is written, or until its call is to write."""
        try:
            item.meeting.wait()
        except BaseException:
            if item in self._waiting:
                self._waiting.remove(item)
            if self._writer is item:
                self._hand_over()
            raise

    def _write_all(self) -> None:
        items, self._waiting = self._waiting, []
        results: Sequence[B | FlowrunError] = ()
        try:
            results = self._write([item.given for item in items], is_patient=False)
        except StoreUnavailableError as error:
            results = [error] * len(items)
        except FlowrunError:
            pass  # one of them is at fault, or waits for somebody: each tries alone
        finally:
            for item, result in zip(items, results, strict=False):
                item.results.append(result)
            for item in items:
                item.meeting.come()
            self._hand_over()

    def _hand_over(self) -> None:
        self._writer = self._waiting[0] if self._waiting else None
        if self._writer is not None:
            self._writer.meeting.come()


@dataclass(slots=True)
class _Item(Generic[A, B]):
    given: A
    meeting: Meeting = field(default_factory=Meeting)
    """Another call has tried to write it, or this one is to write for all."""
    results: list[B | FlowrunError] = field(default_factory=list)
    """What became of it, if it could be written with others."""
