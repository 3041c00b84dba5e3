"""Where packages come from: the caller's uv settings, or else those made for pip, told to uv."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path

from flowrun.envs.masking import without_credentials
from flowrun.settings import is_offline

ReadPipConf = Callable[[str], dict[str, str]]

_UV_INDEX = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
)
_DECIDING = (
    *_UV_INDEX,
    "UV_BUILD_CONSTRAINT",
    "UV_CONFIG_FILE",
    "UV_CONSTRAINT",
    "UV_EXCLUDE",
    "UV_EXCLUDE_NEWER",
    "UV_INDEX_STRATEGY",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "UV_NO_BUILD",
    "UV_NO_BUILD_PACKAGE",
    "UV_NO_CONFIG",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_TORCH_BACKEND",
)
"""uv's variables that decide which packages a resolution gives."""
_MISLEADING = frozenset(
    {
        "CONDA_PREFIX",
        "PYTHONHOME",
        "PYTHONPATH",
        "UV_FROZEN",
        "UV_LOCKED",
        "UV_NO_VERIFY_HASHES",
        "UV_PROJECT",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PYTHON",
        "UV_REQUIRE_HASHES",
        "UV_SYSTEM_PYTHON",
        "UV_WORKING_DIR",
        "UV_WORKING_DIRECTORY",
        "VIRTUAL_ENV",
    }
)
"""Set for other environments or projects than the one that is built here."""

_NO_INDEX = "no-index"
# pip's option to uv's variable; uv has none for no-index.
_SAME = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


def uv_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for uv: the caller's, with pip's index settings in uv's words.

    What was set for uv (its variables or a uv.toml that names an index) wins over all of pip's
    index settings together. Where pip's extra indexes are taken over, its rule is too: the best
    version of all indexes, not the first index that has the name.
    """
    ours = {name: value for name, value in variables.items() if name not in _MISLEADING}
    pip = _pip_options(variables)
    if _is_set_for_uv(variables):
        pip = {name: value for name, value in pip.items() if name in {"trusted-host", "cert"}}
    taken = {_SAME[name]: value for name, value in pip.items() if name in _SAME}
    if "UV_EXTRA_INDEX_URL" in taken:
        taken["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    fixed = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_NO_WRAP": "1"}
    offline = {"UV_OFFLINE": "1"} if is_offline(variables) else {}
    return {**taken, **ours, **fixed, **offline}


def forbids_index(variables: Mapping[str, str]) -> bool:
    """Tell whether pip is told to ask no index, and uv is told nothing about indexes."""
    said = _pip_options(variables).get(_NO_INDEX, "").strip().lower()
    return said in {"1", "true", "yes", "on", "t", "y"} and not _is_set_for_uv(variables)


def settings_digest(uv: Mapping[str, str]) -> str:
    """Return a digest of all that decides where packages come from and which are chosen.

    Args:
        uv: from `uv_variables`. Credentials do not count: a token that is renewed every day must
            not make every environment new.
    """
    lines = [f"{name}={without_credentials(uv[name])}" for name in _DECIDING if name in uv]
    for name in ("UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE"):
        lines += [_text(Path(file)) for file in uv.get(name, "").split()]
    lines += [without_credentials(_text(file)) for file in _uv_files(uv)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _pip_options(variables: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings by option name: files from general to special, then variables."""
    options: dict[str, str] = {}
    for file in _pip_files(variables):
        if text := _text(file):
            # by name: few machines have one, and its parser takes a while to load
            read: ReadPipConf = import_module("flowrun.envs.pip_conf").read_pip_conf
            options |= read(text)
    for name in (*_SAME, _NO_INDEX):
        value = variables.get("PIP_" + name.upper().replace("-", "_"))
        if value is not None:
            options[name] = value
    return {name: _in_uvs_words(name, value) for name, value in options.items() if value}


def _in_uvs_words(name: str, value: str) -> str:
    words = value.split()
    return ",".join(words) if name == "find-links" else " ".join(words)


def _pip_files(variables: Mapping[str, str]) -> list[Path]:
    named = variables.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    shared = variables.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder) / "pip/pip.conf" for folder in shared.split(os.pathsep)]
    files.append(Path("/etc/pip.conf"))
    if home := variables.get("HOME"):
        files.append(Path(home) / ".pip/pip.conf")
    if config := _config_home(variables):
        files.append(config / "pip/pip.conf")
    files.append(Path(sys.prefix) / "pip.conf")
    return [*files, Path(named)] if named else files


def _uv_files(variables: Mapping[str, str]) -> Iterable[Path]:
    if variables.get("UV_NO_CONFIG", "") not in {"", "0", "false"}:
        return []
    if named := variables.get("UV_CONFIG_FILE"):
        return [Path(named)]
    shared = variables.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder) / "uv/uv.toml" for folder in shared.split(os.pathsep)]
    files.append(Path("/etc/uv/uv.toml"))
    if config := _config_home(variables):
        files.append(config / "uv/uv.toml")
    return files


def _is_set_for_uv(variables: Mapping[str, str]) -> bool:
    return any(name in variables for name in _UV_INDEX) or _uv_files_name_an_index(variables)


def _uv_files_name_an_index(variables: Mapping[str, str]) -> bool:
    words = ("index", "find-links")
    return any(word in _text(file) for file in _uv_files(variables) for word in words)


def _config_home(variables: Mapping[str, str]) -> Path | None:
    if config := variables.get("XDG_CONFIG_HOME"):
        return Path(config)
    home = variables.get("HOME")
    return Path(home) / ".config" if home else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
