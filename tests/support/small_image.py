"""An image of 4 MB with a shell and a few programs, for tests that send one or need a new one."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import uuid
from pathlib import Path

from flowrun.envs.docker_engine import Engine

PROGRAMS = ("sh", "cat", "sleep", "touch")


def add_small_image(engine: Engine, name: str) -> str:
    """Make an image of this name that is like no other; give its id."""
    packed = io.BytesIO()
    programs = {f"/bin/{name}": str(shutil.which(name)) for name in PROGRAMS}
    libraries = {path: path for program in programs.values() for path in _libraries(program)}
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for inside, outside in (programs | libraries).items():
            archive.add(Path(outside).resolve(strict=True), inside)
        marker = uuid.uuid4().bytes
        info = tarfile.TarInfo("marker")
        info.size = len(marker)
        archive.addfile(info, io.BytesIO(marker))
    repository, _, tag = name.rpartition(":")
    engine.api.import_image_from_data(packed.getvalue(), repository, tag)
    return str(engine.api.inspect_image(name)["Id"])  # type: ignore[no-untyped-call]  # the stubs say nothing of it


def _libraries(program: str) -> list[str]:
    """Give the paths at which the loader looks for what a program needs, and the loader's own."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", told)
