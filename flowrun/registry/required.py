"""Signatures that promotions need: a step asks for one, or a machine for all of its promotions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from flowrun.registry.entities import Stage
from flowrun.registry.files import ModelStores
from flowrun.registry.requests import Move
from flowrun.registry.rollback import find_rollback
from flowrun.registry.store import RegistryStore
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


def check_way_back(
    stores: ModelStores,
    name: str,
    *,
    stage: Stage | None,
    alias: str | None,
    keys: Sequence[Path],
) -> str | None:
    """Refuse a rollback to a version that is not what the owners of all keys have signed.

    Gives the version that comes back, for the store to expect; None if no key is asked for.

    Raises:
        SignatureError: it is not. InvalidStateError: there is nothing to go back to.
    """
    if not keys:
        return None
    history = stores.registry.get_history(name)
    back = find_rollback(name, history, _living(stores.registry, name), stage=stage, alias=alias)
    check_required(stores, name, back.target, back.move, keys)
    return back.target


def _living(registry: RegistryStore, name: str) -> set[str]:
    found: set[str] = set()
    quoted, token = name.replace("'", "''"), None
    while True:
        page = registry.search_model_versions(filter_text=f"name = '{quoted}'", page_token=token)
        found |= {each.version for each in page.items}
        token = page.next_page_token
        if token is None:
            return found
