"""How py-rattler is called: in an event loop that can be left, with a fitting client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from rattler.config import Config
from rattler.networking import Client

from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.failures import RattlerError
from flowrun.envs.conda.machine import Machine
from flowrun.errors import CancelledError, EnvError

ENVIRONMENT = "default"
"""The name of the only environment in our locks: what pixi calls one without a name."""
Result = TypeVar("Result")

_LOOK_EVERY_S = 0.1
_SETTINGS = 'tls-root-certs = "system"\n'


def awaited(
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


def client_for(channels: Channels, machine: Machine) -> Client:
    """Return what fetches: for remote channels with logins, proxies and certificates.

    Local ones must not depend on whether rattler can read a keyring and its files in HOME.
    """
    if channels.are_local:
        return Client()
    settings = _SETTINGS
    if not Path("~").expanduser().is_dir():
        # rattler fails over a HOME that is none, unless it is told of a file with logins.
        none = machine.cache / "no-logins.json"
        none.parent.mkdir(parents=True, exist_ok=True)
        none.write_text("{}", encoding="utf-8")
        settings += f"authentication-override-file = {json.dumps(str(none))}\n"
    return Client.from_config(Config.from_toml(settings), user_agent="flowrun")
