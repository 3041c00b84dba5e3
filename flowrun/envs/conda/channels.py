"""Channel names to addresses: the one that a lock tells, and the one that this machine asks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flowrun.envs.conda.file import NO_DEFAULTS, CondaFile
from flowrun.envs.conda.settings import ALIAS, CondaSettings
from flowrun.envs.masking import mask, without_credentials
from flowrun.errors import EnvError
from flowrun.valueclass import valueclass

_TOKEN = re.compile(r"(://[^/\s'\"]*)/t/[^/\s'\"]+")
_MOST_NESTED = 8


@valueclass
class Channel:
    """One place with packages; addresses end without a slash."""

    name: str
    """As people wrote it, without credentials."""
    url: str
    """Its address in locks: no credentials, and the same whatever mirror is used."""
    source: str
    """Where this machine gets it; may hold credentials."""

    @property
    def has_credentials(self) -> bool:
        """Whether its source holds some."""
        return public_address(self.source) != self.source


@valueclass
class Channels:
    """The channels of one environment, the first with priority over the next."""

    every: tuple[Channel, ...]
    settings: CondaSettings

    @classmethod
    def of(cls, file: CondaFile, settings: CondaSettings) -> Channels:
        """Return the channels that a file names, or else those of the settings.

        Those of single dependencies (`channel::name`) come last, as their other packages are
        wanted least.
        """
        asked = [*(file.channels or settings.unnamed)]
        asked += [spec.channel for spec in file.specs if spec.channel]
        found = (each for name in asked for each in _resolved(name, settings))
        return cls(tuple(dict.fromkeys(found)), settings)

    @property
    def are_local(self) -> bool:
        """Whether nothing has to be fetched from anywhere else."""
        return all(each.source.startswith("file:") for each in self.every)

    def named(self, name: str) -> tuple[Channel, ...]:
        """Return what one name means; several, if it is one that stands for several."""
        return tuple(_resolved(name, self.settings))

    def public(self, url: str) -> str:
        """Return the address of a package as a lock tells it."""
        for each in self.every:
            if url.startswith(f"{each.source}/"):
                return each.url + url.removeprefix(each.source)
        return public_address(url)

    def here(self, url: str) -> str:
        """Return where this machine gets a package of a lock."""
        for each in self.every:
            if url.startswith(f"{each.url}/"):
                return each.source + url.removeprefix(each.url)
        return _mirrored(url, self.settings)


def public_address(url: str) -> str:
    """Return an address without user, password and conda's `/t/TOKEN`."""
    return _TOKEN.sub(r"\1", without_credentials(url))


def masked(text: str) -> str:
    """Return `text` with all credentials of addresses shown as `***`."""
    return _TOKEN.sub(r"\1/t/***", mask(text))


def _resolved(name: str, settings: CondaSettings, depth: int = 0) -> Iterator[Channel]:
    if name == NO_DEFAULTS:
        return
    if name in settings.several:
        if depth > _MOST_NESTED:
            raise EnvError(f"conda settings: channel '{name}' stands for itself.")
        for each in settings.several[name]:
            # A name of several channels may also be the name of one of them.
            yield from (
                [_single(each, settings)] if each == name else _resolved(each, settings, depth + 1)
            )
    else:
        yield _single(name, settings)


def _single(name: str, settings: CondaSettings) -> Channel:
    if "://" in name:
        address = name.rstrip("/")
    elif name in settings.located:
        address = f"{settings.located[name].rstrip('/')}/{name}"
    else:
        first = name.split("/", 1)[0]
        base = settings.located.get(first, settings.alias)
        address = f"{base.rstrip('/')}/{name}"
    return Channel(public_address(name), public_address(address), _mirrored(address, settings))


def _mirrored(address: str, settings: CondaSettings) -> str:
    """Return the address with the longest beginning that has a mirror put in place of it."""
    fitting = [
        (known.rstrip("/"), instead.rstrip("/"))
        for known, instead in settings.mirrors
        if f"{address}/".startswith(f"{known.rstrip('/')}/")
    ]
    if not fitting:
        return address
    known, instead = max(fitting, key=lambda pair: len(pair[0]))
    return instead + address.removeprefix(known)


def names_of(channels: Iterable[Channel]) -> str:
    """Return the channels for a message; those of the public host by name alone."""
    return ", ".join(each.name for each in channels) or ALIAS
