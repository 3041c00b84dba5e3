"""Chooses exact conda packages and writes their lock, with py-rattler. Imported on use only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import rattler
from rattler.exceptions import (
    DetectVirtualPackageError,
    InvalidMatchSpecError,
    InvalidVersionError,
    SolverError,
    VirtualPackageOverrideError,
)
from rattler.repo_data import RepoDataRecord
from rattler.virtual_package import GenericVirtualPackage, Override, VirtualPackageOverrides

from flowrun.envs.base import Wish
from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.failures import UnsolvableError
from flowrun.envs.conda.file import Spec
from flowrun.envs.conda.machine import Machine
from flowrun.envs.conda.records import records_of
from flowrun.envs.conda.session import ENVIRONMENT, awaited, client_for
from flowrun.errors import EnvError
from flowrun.spec.problems import Problems

_VIRTUAL = {"ARCHSPEC": "archspec", "CUDA": "cuda", "GLIBC": "libc", "OSX": "osx"}
"""conda's CONDA_OVERRIDE_... to rattler's names."""
_USUAL = {"linux": {"linux": "4.18", "glibc": "2.28"}, "osx": {"osx": "13.0"}}
"""Source: pixi, "System requirements"."""


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
    wish: Wish,
) -> str:
    """Choose exact packages; return them as the text of a rattler lock file.

    Args:
        scratch: an existing folder that is not kept.
        wish: `kept` is here the text of a rattler lock file.

    Raises:
        UnsolvableError: no packages fit all of it. RattlerError: a channel can't be read.
        EnvError: an override is no version, a package has no sha256. CancelledError.
    """
    locked = _kept_records(wish.kept, wish.upgraded, channels, scratch)
    work = _solved(specs, channels, machine, scratch, locked)
    records = awaited(work, is_cancelled, "the solve")
    for record in records:
        if record.sha256 is None:
            raise EnvError(
                f"{channels.public(record.url)}: its channel does not tell its sha256, so it "
                "can't be locked.",
                "Have the channel indexed anew, or take the package from another one.",
            )
    return _lock_text(records, channels, machine, scratch / "conda.lock")


async def _solved(
    specs: Sequence[Spec],
    channels: Channels,
    machine: Machine,
    scratch: Path,
    locked: Sequence[RepoDataRecord],
) -> list[RepoDataRecord]:
    # rattler writes the addresses that it asks into its cache.
    kept = scratch if any(each.has_credentials for each in channels.every) else machine.cache
    gateway = rattler.Gateway(
        cache_dir=kept / "repodata",
        default_config=rattler.SourceConfig(
            sharded_enabled=not channels.are_local,
            cache_action=(
                "force-cache-only"
                if channels.settings.is_offline and not channels.are_local
                else "cache-or-fetch"
            ),
        ),
        client=client_for(channels, machine),
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
            virtual_packages=_virtual_packages(machine),
            locked_packages=locked,
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


def _virtual_packages(machine: Machine) -> list[GenericVirtualPackage]:
    """Return what the machine has (`__glibc`, `__cuda`), or is to be taken to have."""
    overrides = machine.overrides
    if not machine.is_here:
        return _usual_packages(machine.subdir, overrides)
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


def _usual_packages(subdir: str, overrides: Mapping[str, str]) -> list[GenericVirtualPackage]:
    """Return what other tools take for granted on a platform, with what the caller says instead."""
    system = "linux" if subdir.startswith("linux-") else "osx"
    versions = {"unix": "0", **_USUAL[system]}
    builds = {}
    for name, value in overrides.items():
        if name == "ARCHSPEC":  # the one whose name of the processor is its build
            versions["archspec"], builds["archspec"] = value and "1", value
        else:
            versions[name.lower()] = value
    try:
        return [
            GenericVirtualPackage(
                rattler.PackageName(f"__{name}"),
                rattler.Version(version),
                rattler.BuildString(builds.get(name, "0")),
            )
            for name, version in versions.items()
            if version
        ]
    except InvalidVersionError as error:
        raise EnvError(f"CONDA_OVERRIDE_...: {error}") from error


def _kept_records(
    lock: str, upgraded: Iterable[str], channels: Channels, scratch: Path
) -> list[RepoDataRecord]:
    """Return the packages of an earlier lock that are to stay if they still fit."""
    names, found = set(upgraded), []
    for record in records_of(lock, scratch) if lock else []:
        if record.name.normalized not in names:
            record.url = channels.here(record.url)
            found.append(record)
    return found


def _lock_text(
    records: Sequence[RepoDataRecord], channels: Channels, machine: Machine, file: Path
) -> str:
    """Return a lock of public addresses, the same for the same packages."""
    platform = rattler.LockPlatform(machine.subdir)
    lock = rattler.LockFile([platform])
    lock.set_channels(ENVIRONMENT, [rattler.LockChannel(each.url) for each in channels.every])
    for record in sorted(records, key=lambda each: each.url):
        public = channels.public(record.url)
        record.url, record.channel = public, _folder(_folder(public))
        lock.add_conda_package(ENVIRONMENT, platform, record)
    lock.to_path(file)
    return file.read_text(encoding="utf-8")


def _folder(url: str) -> str:
    return url.rsplit("/", 1)[0]
