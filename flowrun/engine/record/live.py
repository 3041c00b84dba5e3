"""Runs in progress, so that a flowrun that was killed leaves no run RUNNING.

Every run that one flowrun makes carries the tag `flowrun.session` from the moment it exists, and
the session holds a lock on a file of its own under `live/`, which says where its runs are recorded.
The lock goes with the process, however that ends. Whoever starts next finds files without a holder
and closes what those sessions left. Nobody ever has a lock to clear by hand.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from flowrun.errors import NotFoundError, StoreError
from flowrun.sources.copies import remove
from flowrun.stores import all_items
from flowrun.tracking.entities import Run, RunStatus
from flowrun.tracking.store import TrackingStore
from flowrun.valueclass import valueclass

SESSION_TAG = "flowrun.session"
ERROR_TAG = "flowrun.error"
PARENT_TAG = "mlflow.parentRunId"
ABANDONED = "flowrun itself ended (killed, or the machine stopped) before this run did"


@valueclass
class Session:
    """One flowrun that records runs."""

    id: str
    tracking_uri: str
    work: str
    """Its folder for steps' working directories."""
    host: str
    pid: int = 0
    docker_host: str | None = None
    """Where its containers are, as in DOCKER_HOST; '' is the engine's usual place."""


class SessionFile:
    """Holds a session's file, and with it the lock that says the session is alive."""

    def __init__(self, folder: Path, session: Session) -> None:
        self._path = folder / f"{session.id}.json"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Locked before it has its name: nobody ever finds it without its holder.
            unnamed = folder / f"{session.id}.new"
            self._file = unnamed.open("x", encoding="utf-8")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            json.dump(asdict(session), self._file)
            self._file.flush()
            unnamed.rename(self._path)
        except OSError as error:
            raise StoreError(f"{self._path} can't be written: {error.strerror}") from error

    def close(self, *, keep: bool = False) -> None:
        """Give it up. `keep`: some run could not be closed, so the next flowrun must try again."""
        if not keep:
            self._path.unlink(missing_ok=True)
        self._file.close()


def is_held(folder: Path, session_id: str) -> bool:
    """Tell whether a session of this home is alive: its flowrun runs, be it stopped or asleep."""
    try:
        with (folder / f"{session_id}.json").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # there is no such file, so it is a session of another home, or over
    return False


def this_host() -> str:
    """Give the name by which other machines know that they can't see this one's processes."""
    return socket.gethostname()


def close_abandoned(
    folder: Path,
    tracking_uri: str,
    store: TrackingStore,
    now: Callable[[], int],
    remove_containers: Callable[[Session], None],
) -> list[str]:
    """Close as KILLED what killed flowruns left RUNNING, remove their work; give the runs' ids.

    A session that recorded elsewhere is left for the next flowrun that does so, but for its
    containers, which run and cost.
    """
    closed: list[str] = []
    for path, file, session in _without_holder(folder):
        with file:
            if session.docker_host is not None:
                remove_containers(session)
            if session.tracking_uri != tracking_uri:
                continue
            closed += close_left_running(store, session, ABANDONED, now())
            remove(Path(session.work))
            path.unlink(missing_ok=True)
    return closed


def close_left_running(
    store: TrackingStore, session: Session, reason: str, end_time_ms: int
) -> list[str]:
    """Close as KILLED each run of a session, and each run nested in one, that is still RUNNING."""
    belongs: dict[str, bool] = {}
    closed: list[str] = []
    for run in _running(store):
        if _belongs(store, run, session.id, belongs):
            store.log_batch(run.info.run_id, tags={ERROR_TAG: reason})
            end_ms = max(end_time_ms, run.info.start_time_ms)  # the clock may have been set back
            store.update_run(run.info.run_id, status=RunStatus.KILLED, end_time_ms=end_ms)
            closed.append(run.info.run_id)
    return closed


def _running(store: TrackingStore) -> list[Run]:
    """Give all RUNNING runs, of all experiments: a step's client may choose one of its own."""
    experiment_ids = [
        experiment.experiment_id
        for experiment in all_items(lambda token: store.search_experiments(page_token=token))
    ]
    return all_items(
        lambda token: store.search_runs(
            experiment_ids, filter_text="attributes.status = 'RUNNING'", page_token=token
        )
    )


def _belongs(store: TrackingStore, run: Run, session_id: str, known: dict[str, bool]) -> bool:
    """Whether a run, or a run above it, was made by the session."""
    chain: list[str] = []
    answer = False
    current: Run | None = run
    while current is not None:
        run_id = current.info.run_id
        if run_id in known or run_id in chain:
            answer = known.get(run_id, False)
            break
        chain.append(run_id)
        if SESSION_TAG in current.tags:
            answer = current.tags[SESSION_TAG] == session_id
            break
        current = _parent(store, current)
    known.update(dict.fromkeys(chain, answer))
    return answer


def _parent(store: TrackingStore, run: Run) -> Run | None:
    parent_id = run.tags.get(PARENT_TAG)
    if parent_id is None:
        return None
    try:
        return store.get_run(parent_id)
    except NotFoundError:
        return None


def holder_is_gone(folder: Path, session_id: str) -> bool:
    """Tell whether no process on this machine or another can be at work for a session."""
    try:
        file = (folder / f"{session_id}.json").open(encoding="utf-8")
    except FileNotFoundError:
        return True  # it has one for as long as it works
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Session(**json.load(file)).host == this_host()
        except BlockingIOError:
            return False
        except (ValueError, TypeError):
            return True  # not ours


def _without_holder(folder: Path) -> Iterator[tuple[Path, TextIO, Session]]:
    """Give the files whose holders are gone, each locked by us now."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.json")):
        try:
            file = path.open(encoding="utf-8")
        except FileNotFoundError:
            continue  # its holder is just done
        session = _claim(path, file)
        if session is None:
            file.close()
        else:
            yield path, file, session


def _claim(path: Path, file: TextIO) -> Session | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None  # alive
    if os.fstat(file.fileno()).st_nlink == 0:
        return None  # another flowrun was quicker
    try:
        session = Session(**json.load(file))
    except (ValueError, TypeError):
        path.unlink(missing_ok=True)  # not ours
        return None
    return session if session.host == this_host() else None
