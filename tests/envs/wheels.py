"""Writes small pure wheels, so that tests need no package index."""

from __future__ import annotations

import base64
import hashlib
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> Path:
    """Write a wheel with `files` (by default one module that knows its version); return its path.

    Args:
        scripts: console scripts, as in entry_points.txt (`name = module:function`).
    """
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {each}" for each in requires]
    content = dict(files or {f"{name}.py": f"version = '{version}'\ndef main(): print(version)\n"})
    content[f"{info}/METADATA"] = "\n".join(metadata) + "\n"
    content[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if scripts:
        content[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *scripts]) + "\n"
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return wheel


def write_package(folder: Path, name: str, body: str, *, extra: str = "") -> None:
    """Write a project that builds itself, without fetching a build tool, into a wheel.

    Its one module is `body`; `extra` is put into the build, and runs when it is built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(body)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (folder / "backend.py").write_text(_BACKEND.format(name=name, extra=extra or "pass"))


def write_sdist(folder: Path, package: Path, name: str) -> None:
    """Write the source distribution of what `write_package` wrote: it is built to learn of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (package / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    with tarfile.open(folder / f"{name}-1.tar.gz", "w:gz") as archive:
        archive.add(package, f"{name}-1")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


_BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    {extra}
    pathlib.Path("left-by-the-build").touch()
    wheel = "{name}-1-py3-none-any.whl"
    info = "{name}-1.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder) / wheel, "w") as archive:
        archive.write("{name}.py")
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n")
        archive.writestr(
            info + "/WHEEL",
            "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        )
        archive.writestr(info + "/RECORD", "")
    return wheel
"""
