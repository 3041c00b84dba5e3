"""Flags, variables and defaults become settings; the only reader of `os.environ`."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from flowrun.errors import UsageError
from flowrun.valueclass import valueclass


@valueclass
class Settings:
    """What every command starts from."""

    home: Path
    """flowrun's folder."""
    tracking_uri: str | None
    """Where runs are recorded; None: the embedded default below `home`. May hold a password."""
    variables: Mapping[str, str]
    """The caller's environment variables, with those of `--env-file`."""
    cwd: Path
    user: str
    is_terminal: bool
    """Standard output is a terminal that can show colour and movement."""


REQUIRE_SIGNATURE = "FLOWRUN_REQUIRE_SIGNATURE"
"""The variable that names the public key of all models that are promoted or served."""
OFFLINE = "FLOWRUN_OFFLINE"
"""The variable that `--offline` sets."""


def is_offline(variables: Mapping[str, str]) -> bool:
    """Tell whether code, packages and images may come from caches of this machine only."""
    return variables.get(OFFLINE, "").lower() not in {"", "0", "false", "no"}


def offline_error(what: str) -> str:
    """Say that something would have to be fetched."""
    return f"{what} is not in this machine's caches, and nothing is fetched because of --offline"


def load_settings(env_file: Path | None = None, tracking_uri: str | None = None) -> Settings:
    """Read the surroundings once; what is given here goes before variables."""
    variables = dict(os.environ)
    if env_file is not None:
        variables |= read_env_file(env_file)
    return Settings(
        home=_home(variables),
        tracking_uri=tracking_uri or _tracking_uri(variables),
        variables=variables,
        cwd=Path.cwd(),
        user=_user(variables),
        is_terminal=sys.stdout.isatty() and variables.get("TERM", "") != "dumb",
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; blank lines and `#` comments are skipped, quotes are taken off."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"--env-file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--env-file {path}: not UTF-8 text (byte {error.start})") from error
    values: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise UsageError(f"--env-file {path}:{number}: '{line}' is not of the form NAME=value")
        value = value.strip()
        is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        values[name.strip()] = value[1:-1] if is_quoted else value
    return values


def _tracking_uri(variables: Mapping[str, str]) -> str | None:
    """Give where to record by the variables: flowrun's own, else MLflow's if it names a server."""
    if own := variables.get("FLOWRUN_TRACKING_URI"):
        return own
    mlflows = variables.get("MLFLOW_TRACKING_URI", "")
    return mlflows if mlflows.partition(":")[0].lower() in {"http", "https"} else None


def _home(variables: Mapping[str, str]) -> Path:
    if given := variables.get("FLOWRUN_HOME"):
        return Path(given).expanduser().absolute()
    if data := variables.get("XDG_DATA_HOME"):
        return Path(data).expanduser().absolute() / "flowrun"
    return Path.home() / ".local" / "share" / "flowrun"


def _user(variables: Mapping[str, str]) -> str:
    """Give the name that runs are recorded under, as MLflow finds it."""
    if given := variables.get("MLFLOW_TRACKING_USERNAME"):
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a container's user without an entry in /etc/passwd
