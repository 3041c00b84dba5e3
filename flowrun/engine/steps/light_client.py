"""The light client on a step's Python path: `import flowrun` in any environment.

A folder that holds nothing but the few standard-library-only modules of the client, read-only, one
for each of their contents, so that it always fits the engine that started the step.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import flowrun
from flowrun.tracking.light import LIGHT_MODULES


@lru_cache(maxsize=4)
def python_path(cache: Path) -> Path:
    """Give the folder to put (last) on a step's PYTHONPATH, made if it is not there."""
    texts = _texts()
    folder = cache / _name(texts)
    if not folder.is_dir():
        _publish(texts, folder)
    return folder


def current_folder(cache: Path) -> Path:
    """Give where this flowrun's copy is, or would be."""
    return cache / _name(_texts())


def _texts() -> dict[str, bytes]:
    site = Path(flowrun.__file__).parents[1]
    return {name: (site / name).read_bytes() for name in LIGHT_MODULES}


def _name(texts: dict[str, bytes]) -> str:
    return hashlib.sha256(b"\0".join([*texts.values()])).hexdigest()[:16]


def _publish(texts: dict[str, bytes], folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    for name, text in texts.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        path.chmod(0o444)
    made.chmod(0o755)
    try:
        os.rename(made, folder)  # noqa: PTH104 - must fail if another flowrun was quicker
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
