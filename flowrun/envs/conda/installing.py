"""Installs the packages of a lock with py-rattler. Imported on use only.

Facts about it that this module is shaped by (0.28): it does not look at the sha256 of archives in
`file:` channels, and panics over some that are not what their index says; it hard-links from what
it has unpacked, so that environments that share an unpacked package share its files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import rattler
from rattler.config import Config
from rattler.networking import Client
from rattler.package_cache import PackageCache
from rattler.repo_data import RepoDataRecord

from flowrun.envs.conda.archives import Archives
from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.machine import Machine
from flowrun.envs.conda.records import records_of
from flowrun.envs.conda.session import awaited, client_for


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
    work = _installed(records_of(lock, scratch), prefix, channels, machine, scratch)
    awaited(work, is_cancelled, "the installation of conda packages")


async def _installed(
    records: list[RepoDataRecord],
    prefix: Path,
    channels: Channels,
    machine: Machine,
    scratch: Path,
) -> None:
    public = [record.url for record in records]
    archives = Archives(
        machine.cache / "archives",
        scratch / "archives",
        client_for(channels, machine),
        is_offline=channels.settings.is_offline,
    )
    found = await asyncio.gather(
        *(
            archives.get(channels.here(told), told, record.sha256.hex() if record.sha256 else "")
            for record, told in zip(records, public, strict=True)
        )
    )
    for record, archive in zip(records, found, strict=True):
        record.url = archive.as_uri()
    prefix.mkdir()
    await rattler.install(
        records,
        prefix,
        # Of this build alone: files are hard-linked from it, and it is gone when all is built.
        package_cache=PackageCache(scratch / "unpacked"),
        client=Client(),
        config=Config(),
        show_progress=False,
        execute_link_scripts=False,
    )
    _tell_public_addresses(prefix, records, public)


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
