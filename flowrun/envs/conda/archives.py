"""The package cache: archives by sha256, each compared with it whenever it is used."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rattler.exceptions import ExtractError
from rattler.networking import Client
from rattler.package_streaming import download_to_path

from flowrun.envs.conda.failures import ChangedPackageError, RattlerError
from flowrun.settings import offline_error

_AT_ONCE = 8
_ATTEMPTS = 3


class Archives:
    """Archives for one build, in a folder of its own; kept ones are links to the same files.

    What a build has fetched stays with it, whatever becomes of the cache meanwhile.
    """

    def __init__(self, cache: Path, scratch: Path, client: Client, *, is_offline: bool) -> None:
        self._is_offline = is_offline
        self._cache = cache
        self._scratch = scratch
        self._client = client
        self._turn = asyncio.Semaphore(_AT_ONCE)
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch.mkdir(exist_ok=True)

    async def get(self, source: str, told: str, sha256: str) -> Path:
        """Return an archive that has this sha256, fetched if the cache does not have it.

        Args:
            source: where it is. told: the address for messages.

        Raises:
            ChangedPackageError: what is there is another one. RattlerError: nothing is there.
        """
        name = Path(unquote(urlsplit(source).path)).name
        kept, mine = self._cache / f"{sha256}-{name}", self._scratch / f"{sha256}-{name}"
        async with self._turn:
            if await asyncio.to_thread(_is_taken, kept, mine, sha256):
                return mine
            await self._fetch(source, told, mine)
            found = await asyncio.to_thread(_digest, mine)
            if found != sha256:
                raise ChangedPackageError(told, sha256, found)
            _keep(mine, kept)
            return mine

    async def _fetch(self, source: str, told: str, to: Path) -> None:
        if source.startswith("file:"):
            file = Path(unquote(urlsplit(source).path))
            if not file.is_file():
                raise RattlerError(f"{told}: there is no such file")
            await asyncio.to_thread(shutil.copyfile, file, to)
        else:
            await self._download(source, told, to)

    async def _download(self, source: str, told: str, to: Path) -> None:
        if self._is_offline:
            raise RattlerError(offline_error(told))
        for left in reversed(range(_ATTEMPTS)):
            try:
                await download_to_path(self._client, source, to)
                break
            except (ExtractError, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # it can't be written here; without a number, the connection broke off
                if not left:
                    raise RattlerError(f"{told}: {error}") from error


def _is_taken(kept: Path, mine: Path, sha256: str) -> bool:
    """Link a kept archive into the build's folder; whether it is there and as it should be."""
    mine.unlink(missing_ok=True)
    try:
        os.link(kept, mine)
    except OSError:
        return False  # not there, or on a file system that can't: then it is fetched
    if _digest(mine) == sha256:
        os.utime(mine)  # both names' time, by which old archives are removed
        return True
    mine.unlink()
    return False


def _keep(mine: Path, kept: Path) -> None:
    """Put an archive into the cache, in place of a damaged one."""
    beside = kept.with_name(f"{kept.name}.{os.urandom(4).hex()}.tmp")
    try:
        os.link(mine, beside)
        beside.replace(kept)
    except OSError:
        beside.unlink(missing_ok=True)  # the build goes on without keeping it


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
