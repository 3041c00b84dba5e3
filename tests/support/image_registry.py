"""A registry of images, on a free port of this machine.

with image_registry(folder) as registry:
    name = f"{registry.place}/team/small:1"
    add_small_image(engine, name)
    registry.push(engine, name)
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs.docker_engine import Engine
from tests.support.waiting import until

_READY = re.compile(r"listening on (127\.0\.0\.1:\d+)")
_CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: '127.0.0.1:0'}}
"""


@dataclass(frozen=True)
class ImageRegistry:
    """A running registry."""

    place: str
    """Its host and port, as in an image's name."""

    def push(self, engine: Engine, name: str) -> str:
        """Give it an image of an engine; return its digest."""
        told = list(engine.api.push(name, stream=True, decode=True))
        [digest] = [each["aux"]["Digest"] for each in told if "aux" in each]
        return str(digest)


@contextmanager
def image_registry(folder: Path) -> Iterator[ImageRegistry]:
    """Start a registry that keeps images in a folder."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs docker-registry (apt-get install docker-registry)")
    config, log = folder / "registry.yml", folder / "registry.log"
    config.write_text(_CONFIG.format(folder=folder))
    with log.open("w") as file:
        process = subprocess.Popen([program, "serve", config], stdout=file, stderr=file)
    try:
        until(lambda: _READY.search(log.read_text()) is not None, what="the registry")
        [place] = _READY.findall(log.read_text())
        yield ImageRegistry(place)
    finally:
        process.terminate()
        process.wait(20)
