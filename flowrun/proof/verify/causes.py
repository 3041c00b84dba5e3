"""What may have made a step come out differently, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from flowrun.proof.packages import packages_of
from flowrun.proof.recorded import RecordedEnv, RecordedRun, RecordedStep
from flowrun.proof.verify.difference import Difference

MAX_PACKAGES = 10
_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
_CLOCK = r"\b\d\d:\d\d(?::\d\d(?:\.\d+)?)?\b"
_MONTHS = r"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_WORDS = rf"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[,a-z]* )?(?:\d\d? )?(?:{_MONTHS})[a-z]* [\d ,]+"
_EPOCH = r"\b1[5-9]\d{8}(?:\d{3}|\.\d+|\d{6}|\d{9})?\b|\b2\d{9}(?:\d{3}|\.\d+)?\b"
_TIME = re.compile(f"{_DATE}|{_WORDS}|{_CLOCK}|{_EPOCH}")
"""Dates, times of the day, and seconds (or smaller) since the epoch of the years 2017 to 2070."""


def looks_like_time(difference: Difference) -> bool:
    """Whether two texts differ in nothing but dates and times."""
    old, new = difference.recorded, difference.found
    if old == new or not _TIME.search(old) or not _TIME.search(new):
        return False
    return _TIME.sub("", old) == _TIME.sub("", new)


def code_cause(recorded: RecordedStep, found: RecordedStep) -> Iterator[str]:
    """Tell whether the code is another."""
    old, new = recorded.source, found.source
    if old.tree != new.tree:
        yield f"its code: tree {_short(old.tree)} (then) is {_short(new.tree)} now"


def env_causes(recorded: RecordedEnv | None, found: RecordedEnv | None) -> Iterator[str]:
    """Tell what in its environment is another."""
    if recorded is None or found is None:
        if recorded is not found:
            yield "its environment: not recorded both times"
        return
    if recorded.backend != found.backend:
        yield f"its environment: {recorded.backend} then, {found.backend} now"
        return
    if recorded.lock is None or found.lock is None:
        if recorded.key != found.key:
            yield "its environment is another; the record lacks its lock, so nothing says in what"
        return
    changes = list(_package_changes(recorded, found))
    if changes:
        more = f" and {len(changes) - MAX_PACKAGES} more" if len(changes) > MAX_PACKAGES else ""
        yield f"its environment: {', '.join(changes[:MAX_PACKAGES])}{more}"
    elif recorded.lock != found.lock:
        yield "its environment: other files of the same versions of its packages"


def host_cause(recorded: RecordedRun, found: RecordedRun) -> Iterator[str]:
    """Tell whether it was another machine, or another flowrun."""
    if recorded.host != found.host:
        yield f"another machine: {recorded.host} then, {found.host} now"
    if recorded.flowrun_version != found.flowrun_version:
        yield f"another flowrun: {recorded.flowrun_version} then, {found.flowrun_version} now"


def chance_cause(differences: Sequence[Difference]) -> str:
    """Say what makes a command differ whose code, inputs and environment are the same."""
    if differences and all(looks_like_time(each) for each in differences):
        return (
            "code, environment and inputs are the same: it writes the time at which it runs; "
            "leave that out, take $SOURCE_DATE_EPOCH, or name it in 'ignore'"
        )
    timed = next((each for each in differences if looks_like_time(each)), None)
    hint = f" {timed.place} looks like a time stamp." if timed else ""
    return (
        "code, environment and inputs are the same: its command does not give the same twice "
        f"(a random number without a seed, the order of threads or files).{hint}"
    )


def _package_changes(recorded: RecordedEnv, found: RecordedEnv) -> Iterator[str]:
    old = {(each.kind, each.name): each.version for each in packages_of(recorded)}
    new = {(each.kind, each.name): each.version for each in packages_of(found)}
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield f"{key[1]} {_version(new[key])} is new"
        elif key not in new:
            yield f"{key[1]} {_version(old[key])} is gone"
        elif old[key] != new[key]:
            yield f"{key[1]} {_version(old[key])} -> {_version(new[key])}"
    if recorded.image != found.image:
        yield f"image {recorded.image} -> {found.image}"
    elif recorded.image_id != found.image_id and recorded.image is not None:
        was, now = _image(recorded.image_id), _image(found.image_id)
        yield f"image {recorded.image} was {was}, is {now}"


def _version(version: str) -> str:
    return f"{version[:19]}..." if version.startswith("sha256:") else version


def _image(image_id: str | None) -> str:
    return (image_id or "not known")[:19]


def _short(tree: str | None) -> str:
    return tree[:12] if tree else "not recorded"
