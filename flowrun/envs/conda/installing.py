"""Installs the packages of a lock with py-rattler. Imported on use only.

Facts about it that this module is shaped by (0.28): it does not look at the sha256 of archives in
`file:` channels, and panics over some that are not what their index says; it hard-links from its
cache unless told not to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import rattler
from rattler.exceptions import InstallerError
from rattler.package_cache import PackageCache, ValidationMode
from rattler.repo_data import RepoDataRecord

from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.failures import ChangedPackageError, RattlerError
from flowrun.envs.conda.machine import Machine
from flowrun.envs.conda.session import ENVIRONMENT, awaited, client_for, configuration
from flowrun.envs.folders import remove

_BLOCK_BYTES = 1 << 20


def install(
    lock: str,
    prefix: Path,
    channels: Channels,
    machine: Machine,
    scratch: Path,
    is_cancelled: Callable[[], bool],
) -> None:
    """Install the packages of a lock; each is compared with its sha256 before it is unpacked.

    Args:
        lock: from `solve`.
        prefix: not there yet.
        scratch: an existing folder that is not kept.

    Raises:
        ChangedPackageError: an archive is another one than the lock says.
        RattlerError: one is gone, or can't be written. CancelledError.
    """
    work = _installed(_records(lock, scratch), prefix, channels, machine, scratch)
    awaited(work, is_cancelled, "the installation of conda packages")


def _records(lock: str, scratch: Path) -> list[RepoDataRecord]:
    file = scratch / "conda.lock"
    file.write_text(lock, encoding="utf-8")
    found = rattler.LockFile.from_path(file)
    environment = found.environment(ENVIRONMENT)
    if environment is None:
        return []
    return environment.conda_repodata_records_for_platform(found.platforms()[0]) or []


async def _installed(
    records: list[RepoDataRecord],
    prefix: Path,
    channels: Channels,
    machine: Machine,
    scratch: Path,
) -> None:
    cache = PackageCache.new_layered(
        [machine.cache / "pkgs"], validation_mode=ValidationMode.full()
    )
    cached = await cache.index()
    archives = scratch / "archives"
    sources = [channels.here(record.url) for record in records]
    public = [record.url for record in records]
    unpacked: list[tuple[RepoDataRecord, str, str]] = []
    for record, source, told in zip(records, sources, public, strict=True):
        record.url = source
        if source.startswith("file:"):
            # Never the channel's own file, which may be exchanged after it was looked at.
            record.url = (archives / _file_name(source)).as_uri()
            if cached.contains_record(record):
                unpacked.append((record, source, told))
            else:
                _copy_checked(record, source, told, archives)

    async def link() -> None:
        prefix.mkdir()
        await rattler.install(
            records,
            prefix,
            package_cache=cache,
            client=client_for(channels, machine),
            config=configuration(),
            show_progress=False,
            execute_link_scripts=False,
        )

    try:
        await link()
    except InstallerError:
        if not unpacked:
            raise
        # What the cache had is damaged or gone by now, and is unpacked once more.
        for record, source, told in unpacked:
            _copy_checked(record, source, told, archives)
        remove(prefix)
        await link()
    _tell_public_addresses(prefix, records, public)


def _copy_checked(record: RepoDataRecord, source: str, told: str, archives: Path) -> None:
    """Copy a local archive, and compare the copy with the sha256 of the lock."""
    archives.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    file = Path(unquote(urlsplit(source).path))
    if not file.exists():
        raise RattlerError(f"{told}: there is no such file")
    with file.open("rb") as original, (archives / file.name).open("wb") as copy:
        while block := original.read(_BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
    if record.sha256 is None or digest.digest() != record.sha256:
        expected = record.sha256.hex() if record.sha256 else "none"
        raise ChangedPackageError(told, expected, digest.hexdigest())


def _tell_public_addresses(
    prefix: Path, records: Iterable[RepoDataRecord], public: Sequence[str]
) -> None:
    """Put the lock's addresses into conda's records, in place of mirrors, copies, credentials."""
    for record, told in zip(records, public, strict=True):
        if record.url != told:
            stem = _file_name(told).removesuffix(".conda").removesuffix(".tar.bz2")
            noted = prefix / "conda-meta" / f"{stem}.json"
            noted.write_bytes(noted.read_bytes().replace(record.url.encode(), told.encode()))


def _file_name(url: str) -> str:
    return Path(unquote(urlsplit(url).path)).name
