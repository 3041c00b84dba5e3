"""Several processes that share one listening socket: starts, replaces and stops them.

They are forked, so that the memory of what is imported is shared; nothing that a fork would spoil
(threads, database connections) may be open before. Workers also end when this process is killed:
each holds the reading end of a pipe whose writing end closes with it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

from flowrun.errors import FlowrunError, StoreError

_GRACE_S = 12.0
"""What workers get to answer what is in flight; their own limit is 10 s."""
_SHORT_LIFE_S = 2.0
_SHORT_LIVES = 5
_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

Work = Callable[[int, socket.socket], None]


def run_workers(count: int, work: Work, *, on_ready: Callable[[], None]) -> None:
    """Keep `count` processes at work until SIGTERM or SIGINT; then let them finish.

    Args:
        count: how many; each gets a number from 0 on, its successor the same one.
        work: what one does, until SIGTERM or until the socket it is given is at its end.
        on_ready: called once all are started.

    Raises:
        StoreError: workers end again and again, soon after their start.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            _Crew(work, ours, theirs).keep(count, on_ready)
    finally:
        ours.close()
        while signal.sigtimedwait(_WATCHED, 0) is not None:
            pass  # what came while stopping has been done
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)


class _Crew:
    def __init__(self, work: Work, ours: socket.socket, theirs: socket.socket) -> None:
        self._work = work
        self._ours = ours
        self._theirs = theirs
        self._members: dict[int, tuple[int, float]] = {}  # pid -> number, start
        self._short_lives = 0
        self._is_stopping = False

    def keep(self, count: int, on_ready: Callable[[], None]) -> None:
        try:
            for number in range(count):
                self._start(number)
            on_ready()
            while signal.sigwait(_WATCHED) == signal.SIGCHLD:
                self._replace_the_dead()
        finally:
            self._stop()

    def _start(self, number: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._be_worker(number)
        self._members[pid] = (number, time.monotonic())

    def _be_worker(self, number: int) -> None:
        """Work and end this process: nothing of the parent's may run on in it."""
        code = 1
        try:
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                # Until there is something to finish, a signal is simply the end.
                signal.signal(signal_number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            self._ours.close()
            self._work(number, self._theirs)
            code = 0
        except FlowrunError as error:
            _say(f"worker {number}: {error}")
        except BaseException:  # noqa: BLE001 - the edge of this process
            traceback.print_exc()
        finally:
            os._exit(code)

    def _replace_the_dead(self) -> None:
        for number, lived_s in self._bury():
            self._short_lives = self._short_lives + 1 if lived_s < _SHORT_LIFE_S else 0
            if self._short_lives >= _SHORT_LIVES:
                raise StoreError(
                    f"{_SHORT_LIVES} of the server's workers ended right after their start",
                    "What they said is above this line.",
                )
            self._start(number)

    def _bury(self) -> list[tuple[int, float]]:
        """Give the numbers of the workers that have ended, and how long each lived."""
        ended = []
        while self._members:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid not in self._members:
                continue
            number, started = self._members.pop(pid)
            ended.append((number, time.monotonic() - started))
            code = os.waitstatus_to_exitcode(status)
            if code != 0 and not self._is_stopping:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                _say(f"worker {number} ended by {how}")
        return ended

    def _stop(self) -> None:
        self._is_stopping = True
        for pid in self._members:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while self._members and (rest_s := deadline - time.monotonic()) > 0:
            signal.sigtimedwait((signal.SIGCHLD,), rest_s)
            self._bury()
        for pid in self._members:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _say(text: str) -> None:
    sys.stderr.write(f"flowrun: {text}\n")
    sys.stderr.flush()
