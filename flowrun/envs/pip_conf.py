"""Reads a pip.conf. Imported where there is one."""

from __future__ import annotations

import configparser

_SECTIONS = ("global", "install")


def read_pip_conf(text: str) -> dict[str, str]:
    """Return what a pip.conf sets for `pip install`, by option name; nothing if it is none."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}  # pip would refuse to start; uv would not read it
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found.update((key.replace("_", "-"), value) for key, value in parser.items(section))
    return found
