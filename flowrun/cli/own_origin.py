"""Where this flowrun was installed from, so that another machine can install the same one.

The name `flowrun` on PyPI is somebody else's. So a requirement always names a place: an address, or
a wheel in the repository. Source of `direct_url.json`: PEP 610.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from flowrun.errors import UsageError
from flowrun.sources.credentials import without_credentials

_ADDRESS = re.compile(r"(git\+)?(https|ssh)://[A-Za-z0-9._~:/@+=&%#-]+")
_WHEEL = re.compile(r"[A-Za-z0-9._/+-]+\.whl")
_NAMED = re.compile(r"flowrun(\[[a-z0-9,-]+\])?\s*@\s*")
_FORMS = (
    "Give --flowrun-from git+https://HOST/flowrun.git@COMMIT, the https address of a wheel, or a "
    "wheel in the repository."
)


def own_requirement() -> str:
    """Give the address that this flowrun was installed from.

    Raises:
        UsageError: it came from a folder or file of this machine, or from a package index.
    """
    try:
        text = distribution("flowrun").read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    origin = json.loads(text) if text else None
    if origin is None:
        raise UsageError("flowrun can't tell which place it was installed from", _FORMS)
    address = _address_in(origin)
    if address is None:
        raise UsageError(
            f"flowrun was installed from {origin['url']}, where no other machine finds it", _FORMS
        )
    return address


def requirement_for(place: str, repository: Path, extras: Sequence[str]) -> str:
    """Give the text by which `pip install` gets flowrun from a place.

    Args:
        place: an address (`git+https://...`), or a wheel's path in the repository.
        repository: its top folder, in which pip will be started.
        extras: of flowrun, that the project needs.

    Raises:
        UsageError: it is neither, or holds credentials, or what a CI system would replace.
    """
    address = _NAMED.sub("", place.strip(), count=1)
    chosen = f"[{','.join(extras)}]" if extras else ""
    if _WHEEL.fullmatch(address):
        path = Path(address)
        if path.is_absolute() or not (repository / path).resolve().is_relative_to(repository):
            raise UsageError(f"--flowrun-from {place}: is not inside {repository}", _FORMS)
        if not (repository / path).is_file():
            raise UsageError(f"--flowrun-from {place}: there is no such file in {repository}")
        return f"./{path.as_posix()}{chosen}"
    if not _ADDRESS.fullmatch(address):
        shown = without_credentials(place)
        raise UsageError(f"--flowrun-from {shown}: is no place to install flowrun from", _FORMS)
    user = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if user and user != "git":
        raise UsageError(
            "--flowrun-from: an address in a CI file must hold no user or password",
            "Let the CI system log in: a git credential helper or ~/.netrc made from its secrets.",
        )
    return f"flowrun{chosen} @ {address}"


def _address_in(origin: dict[str, Any]) -> str | None:
    """Give what pip understands of a `direct_url.json`; None if it names this machine."""
    url = str(origin["url"])
    if not url.startswith(("https://", "ssh://")):
        return None
    subdirectory = origin.get("subdirectory")
    marks = [f"subdirectory={subdirectory}"] if subdirectory else []
    if "vcs_info" in origin:
        base = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    else:
        base = url
        marks += [f"{k}={v}" for k, v in origin.get("archive_info", {}).get("hashes", {}).items()]
    return base + (f"#{'&'.join(marks)}" if marks else "")
