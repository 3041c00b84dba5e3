"""What an environment consists of, read from its lock: packages, interpreter, image, local trees.

A package is named by its package URL, as other tools name it. Source: the purl specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import quote

from flowrun.envs.conda.lock import CondaLock
from flowrun.envs.lock import name_of, pins, trees
from flowrun.proof.recorded import RecordedEnv
from flowrun.valueclass import valueclass

_HASH = re.compile(r" --hash=sha256:([0-9a-f]{64})")
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*===?\s*(?P<version>[^\s;]+)")
_ADDRESS = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*@\s*(?P<url>\S+)")
_PYTHON = re.compile(r"^# python (?P<version>\S+)", re.MULTILINE)
_TREE_DIGEST = re.compile(r"^(?P<text>\S+)  # sha256:(?P<sha256>[0-9a-f]{64}) of its files$", re.M)
_CONDA = re.compile(r"- conda: (?P<url>\S+)")
_CONDA_HASH = re.compile(r"sha256: (?P<sha256>[0-9a-f]{64})")
_CONDA_FILE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-(?P<build>[^-]+?)\.(?:conda|tar\.bz2)")
_IMAGE_DIGEST = re.compile(
    r"^(?:digest: (?P<name>\S+)@|id: )sha256:(?P<sha256>[0-9a-f]{64})$", re.M
)


class PackageKind(StrEnum):
    """Where a package comes from; the type of its package URL."""

    PYPI = "pypi"
    CONDA = "conda"
    IMAGE = "docker"
    PYTHON = "generic"
    TREE = "tree"
    """A folder of the project's own; it has no package URL."""


@valueclass
class Package:
    """One thing that an environment is made of, at one version."""

    kind: PackageKind
    name: str
    version: str
    sha256s: tuple[str, ...] = ()
    """Of the files that may be it: of a wheel for each platform, say; one of them was used."""
    url: str | None = None
    """Its own address, if the lock names one."""

    @property
    def purl(self) -> str | None:
        """The package URL."""
        version = quote(self.version, safe="")
        match self.kind:
            case PackageKind.TREE:
                return None
            case PackageKind.CONDA if found := _conda_file(self.url or ""):
                return f"pkg:conda/{quote(self.name)}@{version}?build={quote(found['build'])}"
            case PackageKind.IMAGE:
                return f"pkg:docker/{quote(self.name)}@{quote(self.version, safe=':')}"
            case _:
                return f"pkg:{self.kind}/{quote(self.name)}@{version}"


def packages_of(env: RecordedEnv) -> tuple[Package, ...]:
    """Give what an environment consists of by its lock; nothing if the lock is not there."""
    if env.lock is None:
        return ()
    match env.backend:
        case "docker":
            found = [*_image(env)]
        case "conda":
            lock = CondaLock.parse(env.lock)
            found = [*_conda(lock.conda), *_pinned(lock.pip)]
        case _:
            found = [*_python(env.lock), *_pinned(env.lock), *_trees(env.lock)]
    return tuple(dict.fromkeys(found))


def _python(lock: str) -> Iterator[Package]:
    if found := _PYTHON.search(lock):
        yield Package(PackageKind.PYTHON, "python", found["version"])


def _pinned(lock: str) -> Iterator[Package]:
    # What is in the caller's own interpreter is listed like pins, without hashes.
    for line in pins(lock):
        hashes = tuple(_HASH.findall(line))
        if found := _PINNED.match(line):
            yield Package(PackageKind.PYPI, name_of(line), found["version"], hashes)
        elif found := _ADDRESS.match(line):
            yield Package(PackageKind.PYPI, name_of(line), found["url"], hashes, found["url"])


def _trees(lock: str) -> Iterator[Package]:
    known = set(trees(lock))
    for found in _TREE_DIGEST.finditer(lock):
        if found["text"] in known:
            sha256 = found["sha256"]
            yield Package(PackageKind.TREE, found["text"], f"sha256:{sha256}", (sha256,))


def _conda(lock: str) -> Iterator[Package]:
    """Read a rattler lock by its lines: what is asked of it stands on lines of its own."""
    hashes: dict[str, str] = {}
    url = ""
    for line in lock.splitlines():
        if found := _CONDA.search(line):
            url = found["url"]
            hashes.setdefault(url, "")
        elif url and not hashes[url] and (found := _CONDA_HASH.search(line)):
            hashes[url] = found["sha256"]
    for url, sha256 in hashes.items():
        if named := _conda_file(url):
            kept = (sha256,) if sha256 else ()
            yield Package(PackageKind.CONDA, named["name"], named["version"], kept, url)


def _conda_file(url: str) -> re.Match[str] | None:
    return _CONDA_FILE.fullmatch(url.rpartition("/")[2])


def _image(env: RecordedEnv) -> Iterator[Package]:
    for found in _IMAGE_DIGEST.finditer(env.lock or ""):
        name = found["name"] or env.image or "image"
        yield Package(PackageKind.IMAGE, name, f"sha256:{found['sha256']}", (found["sha256"],))
