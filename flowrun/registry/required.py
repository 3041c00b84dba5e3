"""Signatures that promotions need: a step asks for one, or a machine for all of its promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from flowrun.registry.entities import Stage
from flowrun.registry.files import ModelStores
from flowrun.registry.requests import Move
from flowrun.settings import REQUIRE_SIGNATURE

_IN_USE = frozenset({Stage.STAGING, Stage.PRODUCTION})


def machine_keys(variables: Mapping[str, str], cwd: Path) -> list[Path]:
    """Give the public keys that models have to be signed with, by the caller's environment."""
    given = variables.get(REQUIRE_SIGNATURE)
    return [cwd / given] if given else []


def check_required(
    stores: ModelStores, name: str, version: str, move: Move, keys: Sequence[Path]
) -> None:
    """Refuse to put a version to use that is not what the owners of all keys have signed.

    Raises:
        SignatureError: it is not.
    """
    if not keys or (move.alias is None and move.stage not in _IN_USE):
        return
    # By name: most promotions do without.
    signing = import_module("flowrun.registry.signing")
    for key in keys:
        uri = f"models:/{quote(name, safe='')}/{version}"
        signing.check_signed(stores, uri, key, f"{name} version {version}")
