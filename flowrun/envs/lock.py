r"""The text of a lock: what exactly an environment consists of.

    # env/1
    # python 3.11.7 cpython-311-x86_64-linux-gnu
    click==8.1.7 \
        --hash=sha256:...
    ./pkg  # sha256:... of its files

Requirements in pip's own format, so that a lock can be read and installed without flowrun. No
index addresses and no credentials: where packages come from is the machine's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

TAG = "# env/1"
"""The first line of every lock: its kind and version, hashed with the rest."""

_PYTHON = "# python "
_CONTINUED = re.compile(r"\\\n\s*")
_TREE = re.compile(r"(?P<text>\S+)  # sha256:(?P<digest>[0-9a-f]{64}) of its files")
_DIGEST = re.compile(r"^((?:# )?\S+)  # sha256:[0-9a-f]{64} of its files$", re.MULTILINE)
_UNDIGESTED = re.compile(r"^((?:# )?)(\S+)  # of this project$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def normalised(name: str) -> str:
    """Return a package name in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(pin: str) -> str:
    """Return the normalised name at the start of a pin, '' if there is none."""
    match = _NAME.match(pin)
    return normalised(match[0]) if match else ""


def render(python: str, packages: Iterable[str], local: Iterable[tuple[str, str]]) -> str:
    """Return the lock's text.

    Args:
        python: version and ABI.
        packages: one logical line each, in any order.
        local: path with extras, and digest, of each local tree.
    """
    lines = [TAG, f"{_PYTHON}{python}"]
    lines += [pin.replace(" --hash=", " \\\n    --hash=") for pin in sorted(set(packages))]
    lines += [f"{text}  # sha256:{digest} of its files" for text, digest in sorted(set(local))]
    return "\n".join(lines) + "\n"


def logical_lines(text: str) -> list[str]:
    """Return the requirements of uv's output or of a lock, each on one line, comments left out."""
    joined = _CONTINUED.sub("", text).splitlines()
    lines = (re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined)
    return [re.sub(r"\s+--hash=", " --hash=", line) for line in lines if line]


def with_hashes(pin: str, asked: Mapping[str, Sequence[str]]) -> str:
    """Return the pin with the hashes that the project itself gives for its name, if it does.

    An index can't add a file to what the project has already pinned by hash.
    """
    hashes = asked.get(name_of(pin))
    if not hashes:
        return pin
    bare = pin.split(" --hash=", 1)[0]
    return " ".join([bare, *(f"--hash={each}" for each in hashes)])


def pins(lock: str) -> list[str]:
    """Return the pinned packages of a lock, one line each, without the project's own trees."""
    own = set(trees(lock))
    return [line for line in logical_lines(lock) if line not in own]


def trees(lock: str) -> dict[str, str]:
    """Return the local trees of a lock (path, as written in the project, and extras): digests."""
    found = map(_TREE.fullmatch, lock.splitlines())
    return {match["text"]: match["digest"] for match in found if match}


def without_digests(lock: str) -> str:
    """Return the lock without the digests of the project's own trees: they change with every edit.

    Source: so do Cargo.lock and uv.lock with path dependencies.
    """
    return _DIGEST.sub(r"\1  # of this project", lock)


def with_digests(lock: str, digest: Callable[[str], str]) -> str:
    """Return the lock with the digests of the project's own trees as they are now.

    Args:
        digest: gives the sha256 of a tree, as it is written in the project, with extras.
    """
    return _UNDIGESTED.sub(
        lambda match: f"{match[1]}{match[2]}  # sha256:{digest(match[2])} of its files", lock
    )


def python_of(lock: str) -> str:
    """Return version and ABI of a lock's Python, '' if it names none."""
    lines = (line for line in lock.splitlines() if line.startswith(_PYTHON))
    return next(lines, "").removeprefix(_PYTHON)
