"""Where uv is; and how threads may ask for it at once.

Before Python 3.13 the first calls of `sysconfig`, which uv's finder and virtualenv make, give
threads that come at the same time half an answer.
"""

from __future__ import annotations

import sysconfig
import threading
from importlib import import_module

_ONE_AT_A_TIME = threading.Lock()


def load_sysconfig() -> None:
    """Let `sysconfig` find out all it can; from then on any thread may ask it."""
    with _ONE_AT_A_TIME:
        sysconfig.get_config_vars()


def find_uv() -> str:
    """Return the path of uv's program.

    Raises:
        FileNotFoundError: it is not there.
    """
    load_sysconfig()
    found: str = import_module("uv").find_uv_bin()  # by name: a run that builds nothing needs none
    return found
