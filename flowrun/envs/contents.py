"""What is in a lock, of whatever kind, for people: names and versions."""

from __future__ import annotations

import re

_PYTHON = re.compile(r"(?:# )?# (?P<name>python) (?P<version>\S+).*")
_PIN = re.compile(r"(?:# )?(?P<name>[A-Za-z0-9][\w.-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+).*")
_AT = re.compile(r"(?:# )?(?P<name>[A-Za-z0-9][\w.-]*)(\[[^\]]*\])? @ (?P<version>[^\s;\\]+).*")
_CONDA = re.compile(r"- conda: \S*/(?P<name>[^/]+)-(?P<version>[^-/]+-[^-/]+)\.(?:conda|tar\.bz2)")
_IMAGE = re.compile(r"(?P<name>digest|id): (?:\S+@)?(?P<version>\S+)")
_FORMS = (_PYTHON, _PIN, _AT, _CONDA, _IMAGE)


def versions_of(lock: str) -> dict[str, str]:
    """Return the version of each package, in lower case; of what is at an address, that."""
    found: dict[str, str] = {}
    for line in lock.splitlines():
        for form in _FORMS:
            if match := form.fullmatch(line):
                found[match["name"].lower()] = match["version"]
                break
    return found


def changes_of(before: str, after: str) -> list[str]:
    """Return what is different in a lock, one line a package: `numpy 1.26 -> 2.0`, `+ six 1.16`."""
    old, new = versions_of(before), versions_of(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"+ {name} {new[name]}")
        elif name not in new:
            lines.append(f"- {name} {old[name]}")
        elif old[name] != new[name]:
            lines.append(f"{name} {old[name]} -> {new[name]}")
    return lines
