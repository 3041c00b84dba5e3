"""The interpreter that the caller already has, used as it is (`--env-manager local`)."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from flowrun.envs.base import PrefixEnv
from flowrun.envs.lock import TAG, normalised
from flowrun.envs.manager import LOCAL
from flowrun.errors import EnvError

_METADATA_FOLDER = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(-py\d[\d.]*)?\.(dist|egg)-info")
_ASK = (
    "import platform, sys, sysconfig;"
    "print(platform.python_version(), sysconfig.get_platform(), *sys.path[1:], sep='\\n')"
)


def caller_env(python: Path, variables: Mapping[str, str]) -> PrefixEnv:
    """Return the caller's interpreter as an environment: nothing is built, nothing is pinned.

    Its lock says what is known of it: version, executable, platform, and the distributions found
    by the names of their metadata folders, which takes a few milliseconds and opens none of them.
    """
    version, tag, places = _facts(python)
    packages = sorted(installed_in(places))
    lines = [
        TAG,
        f"# the caller's interpreter, recorded but not pinned: {python}",
        f"# python {version} {tag}",
        *packages,
    ]
    found = shutil.which("python", path=variables.get("PATH", os.defpath))
    is_first = found is not None and Path(found) == python.with_name("python")
    return PrefixEnv(
        backend=LOCAL,
        key="",
        prefix=None,
        python=python,
        lock="\n".join(lines) + "\n",
        path_entries=() if is_first else (python.parent,),
    )


def _facts(python: Path) -> tuple[str, str, list[str]]:
    """Return version, platform and import path; free if it is the interpreter that runs this."""
    if str(python) == sys.executable:
        return platform.python_version(), sysconfig.get_platform(), sys.path
    try:
        answer = subprocess.run(
            [str(python), "-c", _ASK], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvError(f"The interpreter {python} can't be run: {error}") from error
    version, tag, *places = answer.stdout.splitlines()
    return version, tag, places


def installed_in(places: Iterable[str]) -> set[str]:
    """Return `name==version` of the distributions whose metadata lies in folders, opening none."""
    found: set[str] = set()
    for place in dict.fromkeys(places):
        with suppress(OSError):
            found |= _installed_in(place or ".", os.stat(place or ".").st_mtime_ns)  # noqa: PTH116 - it may be ''
    return found


@lru_cache(maxsize=64)
def _installed_in(place: str, changed_ns: int) -> frozenset[str]:  # noqa: ARG001 - what is remembered holds until it changes
    matches = (_METADATA_FOLDER.fullmatch(each.name) for each in os.scandir(place))
    return frozenset(
        f"{normalised(match['name'])}=={match['version']}" for match in matches if match
    )
