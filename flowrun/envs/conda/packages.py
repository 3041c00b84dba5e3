"""What py-rattler does for an environment: solves, writes locks, installs. Imported on use only.

Facts about it that this module is shaped by (0.28): it does not look at the sha256 of archives in
`file:` channels, and panics over some that are not what their index says; it hard-links from its
cache unless told not to; it adds no virtual packages by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import rattler
from rattler.config import Config
from rattler.exceptions import (
    DetectVirtualPackageError,
    InvalidMatchSpecError,
    SolverError,
    VirtualPackageOverrideError,
)
from rattler.networking import Client
from rattler.package_cache import PackageCache, ValidationMode
from rattler.repo_data import RepoDataRecord
from rattler.virtual_package import GenericVirtualPackage, Override, VirtualPackageOverrides

from flowrun.envs.conda.channels import Channel, Channels
from flowrun.envs.conda.failures import ChangedPackageError, RattlerError, UnsolvableError
from flowrun.envs.conda.file import Spec
from flowrun.envs.conda.machine import Machine
from flowrun.errors import CancelledError, EnvError
from flowrun.spec.problems import Problems

Result = TypeVar("Result")

_LOOK_EVERY_S = 0.1
_BLOCK_BYTES = 1 << 20
_ENVIRONMENT = "default"
_CONFIG = """
allow-hard-links = false
allow-symbolic-links = false
tls-root-certs = "system"
"""
"""Copies or reflinks: what a step does to its environment never reaches the cache."""
_VIRTUAL = {"ARCHSPEC": "archspec", "CUDA": "cuda", "GLIBC": "libc", "OSX": "osx"}
"""conda's CONDA_OVERRIDE_... to rattler's names."""


def check_specs(specs: Iterable[Spec]) -> None:
    """Let rattler parse dependencies, to find now what else would be found by solving.

    Raises:
        SpecError: all that it does not understand.
    """
    problems = Problems()
    for spec in specs:
        try:
            rattler.MatchSpec(spec.text)
        except InvalidMatchSpecError as error:
            reason = str(error).splitlines()[0]
            problems.add(spec.mark, f"'{spec}' is no conda package: {reason}")
    problems.raise_if_any()


def solve(
    specs: Sequence[Spec],
    channels: Channels,
    machine: Machine,
    scratch: Path,
    is_cancelled: Callable[[], bool],
) -> str:
    """Choose exact packages; return them as the text of a rattler lock file.

    Args:
        scratch: an existing folder that is not kept.

    Raises:
        UnsolvableError: no packages fit all of it. RattlerError: a channel can't be read.
        EnvError: an override is no version, a package has no sha256. CancelledError.
    """
    records = _awaited(_solved(specs, channels, machine, scratch), is_cancelled, "the solve")
    for record in records:
        if record.sha256 is None:
            raise EnvError(
                f"{channels.public(record.url)}: its channel does not tell its sha256, so it "
                "can't be locked.",
                "Have the channel indexed anew, or take the package from another one.",
            )
    return _lock_text(records, channels, machine, scratch / "conda.lock")


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
    _awaited(work, is_cancelled, "the installation of conda packages")


async def _solved(
    specs: Sequence[Spec], channels: Channels, machine: Machine, scratch: Path
) -> list[RepoDataRecord]:
    # rattler writes the addresses that it asks into its cache.
    kept = scratch if any(each.has_credentials for each in channels.every) else machine.cache
    gateway = rattler.Gateway(
        cache_dir=kept / "repodata",
        default_config=rattler.SourceConfig(sharded_enabled=not _are_local(channels.every)),
        client=_client(channels, machine),
    )
    platforms = [rattler.Subdir(machine.subdir), rattler.Subdir("noarch")]
    sources = [rattler.Channel(each.source) for each in channels.every]
    wanted = [await _match_spec(spec, channels, gateway, platforms) for spec in specs]
    try:
        return await rattler.solve(
            sources,
            wanted,
            gateway=gateway,
            platforms=platforms,
            virtual_packages=_virtual_packages(machine.overrides),
            channel_priority=rattler.ChannelPriority.Strict,
            channel_relations="disabled",
        )
    except SolverError as error:
        there = {}
        for spec in specs:
            found = await gateway.query(sources, platforms, [spec.name], recursive=False)
            there[spec.name] = [str(record.version) for part in found for record in part]
        raise UnsolvableError(str(error), there) from error


async def _match_spec(
    spec: Spec,
    channels: Channels,
    gateway: rattler.Gateway,
    platforms: Sequence[rattler.Subdir],
) -> rattler.MatchSpec:
    """Return the dependency with the address of its channel, if it names one."""
    if spec.channel is None:
        return rattler.MatchSpec(spec.text)
    candidates = channels.named(spec.channel)
    chosen = candidates[0]
    for each in candidates if len(candidates) > 1 else ():
        source = rattler.Channel(each.source)
        found = await gateway.query([source], platforms, [spec.name], recursive=False)
        if any(found):
            chosen = each
            break
    return rattler.MatchSpec(f"{chosen.source}::{spec.text}")


def _virtual_packages(overrides: Mapping[str, str]) -> list[GenericVirtualPackage]:
    """Return what this machine has (`__glibc`, `__cuda`), or is to be taken to have."""
    given = VirtualPackageOverrides()
    for name, attribute in _VIRTUAL.items():
        if overrides.get(name):
            setattr(given, attribute, Override.string(overrides[name]))
    try:
        detected = [each.into_generic() for each in rattler.VirtualPackage.detect(given)]
    except (DetectVirtualPackageError, VirtualPackageOverrideError) as error:
        said = ", ".join(f"CONDA_OVERRIDE_{name}={value}" for name, value in overrides.items())
        raise EnvError(f"{said}: {error}") from error
    absent = {f"__{name.lower()}" for name, value in overrides.items() if not value}
    return [each for each in detected if each.name.normalized not in absent]


def _lock_text(
    records: Sequence[RepoDataRecord], channels: Channels, machine: Machine, file: Path
) -> str:
    """Return a lock of public addresses, the same for the same packages."""
    platform = rattler.LockPlatform(machine.subdir)
    lock = rattler.LockFile([platform])
    lock.set_channels(_ENVIRONMENT, [rattler.LockChannel(each.url) for each in channels.every])
    for record in sorted(records, key=lambda each: each.url):
        public = channels.public(record.url)
        record.url, record.channel = public, _folder(_folder(public))
        lock.add_conda_package(_ENVIRONMENT, platform, record)
    lock.to_path(file)
    return file.read_text(encoding="utf-8")


def _records(lock: str, scratch: Path) -> list[RepoDataRecord]:
    file = scratch / "conda.lock"
    file.write_text(lock, encoding="utf-8")
    found = rattler.LockFile.from_path(file)
    environment = found.environment(_ENVIRONMENT)
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
    sources: list[tuple[str, str]] = []
    for record in records:
        public = record.url
        record.url = channels.here(public)
        if record.url.startswith("file:") and not cached.contains_record(record):
            record.url = _checked_copy(record, public, scratch / "archives")
        sources.append((record.url, public))
    prefix.mkdir()
    await rattler.install(
        records,
        prefix,
        package_cache=cache,
        client=_client(channels, machine),
        config=Config.from_toml(_CONFIG),
        show_progress=False,
        execute_link_scripts=False,
    )
    _tell_public_addresses(prefix, sources)


def _checked_copy(record: RepoDataRecord, public: str, folder: Path) -> str:
    """Copy a local archive and compare the copy, which nobody changes any more."""
    source = Path(unquote(urlsplit(record.url).path))
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    copy = folder / source.name
    try:
        with source.open("rb") as original, copy.open("wb") as written:
            while block := original.read(_BLOCK_BYTES):
                digest.update(block)
                written.write(block)
    except FileNotFoundError as error:
        raise RattlerError(f"{public}: there is no such file") from error
    if record.sha256 is None or digest.digest() != record.sha256:
        expected = record.sha256.hex() if record.sha256 else "none"
        raise ChangedPackageError(public, expected, digest.hexdigest())
    return copy.as_uri()


def _tell_public_addresses(prefix: Path, sources: Iterable[tuple[str, str]]) -> None:
    """Put the lock's addresses into conda's records, in place of mirrors, copies, credentials."""
    for source, public in sources:
        if source != public:
            name = Path(urlsplit(public).path).name
            record = prefix / "conda-meta" / f"{_stem(name)}.json"
            record.write_bytes(record.read_bytes().replace(source.encode(), public.encode()))


def _awaited(
    work: Coroutine[None, None, Result], is_cancelled: Callable[[], bool], what: str
) -> Result:
    """Return what comes of some work, in an event loop of its own; end it when cancelled."""

    async def watched() -> Result:
        task = asyncio.ensure_future(work)
        while not is_cancelled():
            done, _ = await asyncio.wait({task}, timeout=_LOOK_EVERY_S)
            if done:
                return task.result()
        task.cancel()
        await asyncio.wait({task})
        raise CancelledError(f"cancelled during {what}")

    try:
        return asyncio.run(watched())
    except (EnvError, CancelledError, OSError):
        raise
    except Exception as error:  # rattler has a class for each kind of mishap, and for panics
        raise RattlerError(str(error)) from error


def _client(channels: Channels, machine: Machine) -> Client:
    """Return what fetches: for remote channels with logins, proxies and certificates.

    Local ones must not depend on whether rattler can read a keyring and its files in HOME.
    """
    if _are_local(channels.every):
        return Client()
    config = _CONFIG
    if not Path("~").expanduser().is_dir():
        # rattler fails over a HOME that is none, unless it is told of a file with logins.
        none = machine.cache / "no-logins.json"
        none.parent.mkdir(parents=True, exist_ok=True)
        none.write_text("{}", encoding="utf-8")
        config += f"authentication-override-file = {json.dumps(str(none))}\n"
    return Client.from_config(Config.from_toml(config), user_agent="flowrun")


def _are_local(channels: Iterable[Channel]) -> bool:
    return all(each.source.startswith("file:") for each in channels)


def _folder(url: str) -> str:
    return url.rsplit("/", 1)[0]


def _stem(name: str) -> str:
    return name.removesuffix(".conda").removesuffix(".tar.bz2")
