"""One conda environment: what decides it, and its lock and folder, which are made by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from flowrun.envs.base import NO_WISH, Wish
from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.file import CondaFile
from flowrun.envs.conda.machine import Machine
from flowrun.envs.index_settings import settings_digest
from flowrun.envs.inputs import Inputs
from flowrun.envs.tools import Tools
from flowrun.envs.workshop import Workshop
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.envs.conda.making import CondaMaker


@valueclass
class CondaAsked:
    """All that decides an environment."""

    file: CondaFile
    inputs: Inputs
    """Of the `pip:` section."""
    channels: Channels
    machine: Machine
    tools: Tools
    wish: Wish

    def lines(self) -> Iterator[str]:
        """Yield what decides its lock."""
        yield "conda/1"
        yield from self.machine.lines()
        yield from (f"channel {each.url}" for each in self.channels.every)
        yield from (f"require {spec}" for spec in self.file.specs)
        yield from (f"variable {name}={value!r}" for name, value in self.file.variables)
        if self.inputs.requirements.wanted or self.wish != NO_WISH:
            yield self.inputs.digest("", settings_digest(self.tools.uv_variables), self.wish)


class CondaRecipe:
    """One environment, read and checked. For one thread, in one workshop."""

    def __init__(self, asked: CondaAsked) -> None:
        self._asked = asked
        self._maker: CondaMaker | None = None
        self.label = asked.inputs.description.label
        self.notes = asked.file.notes
        self.digest = hashlib.sha256("\n".join(asked.lines()).encode()).hexdigest()

    def lock(self, shop: Workshop) -> str:
        """Let rattler choose conda's packages, and uv those of pip's section."""
        return self._made().lock(shop)

    def build(self, lock: str, shop: Workshop) -> None:
        """Install conda's packages, then pip's, and see that the Python starts."""
        self._made().build(lock, shop)

    def _made(self) -> CondaMaker:
        """Give what locks and builds; the same for both, since the first may begin the second."""
        if self._maker is None:
            # by name: it takes as long to load as to find a warm environment
            module = import_module("flowrun.envs.conda.making")
            maker: CondaMaker = module.CondaMaker(self._asked)
            self._maker = maker
        return self._maker
