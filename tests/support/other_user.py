"""Runs a command as a user who is neither root nor the owner of anything."""

from __future__ import annotations

import os

USER = 1000


def as_another_user(*groups: int) -> list[str]:
    """Give what goes before a command; who is not root stays who he is.

    This checkout and its Python may lie in a folder that is root's: it may be read, no more.
    """
    if os.geteuid() != 0:
        return []
    member = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", member, *reads]
