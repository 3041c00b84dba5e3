"""Makes a conda channel in a folder: this interpreter, installed distributions, small packages.

Nothing is fetched. The `python` package is the tree of the interpreter that runs the tests, its
programs told to look for libraries beside themselves; text files that name its prefix get conda's
placeholder. It takes system libraries from the host: good for tests on this machine, no more.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

import zstandard

SUBDIR = "linux-64"
NOARCH = "noarch"
_PLACEHOLDER = "/opt/" + "flowrun_placehold_" * 12 + "x" * 20
_TIME_S = 1_700_000_000
_NOT_PACKED = {
    *("site-packages", "test", "tests", "idlelib", "turtledemo", "lib2to3", "ensurepip"),
    *("__pycache__", "tkinter"),
}
_RPATH = b"$ORIGIN/../lib"


@dataclass(frozen=True)
class Package:
    """What goes into one archive, and what the index says of it."""

    name: str
    version: str
    build: str = "0"
    subdir: str = NOARCH
    depends: Sequence[str] = ()
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    """Path below the prefix to content."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Path to a relative target."""
    programs: frozenset[str] = frozenset()
    """Paths that can be executed."""
    is_python: bool = False
    """`noarch: python`: files of site-packages, for any Python."""

    @property
    def file_name(self) -> str:
        """The archive's name."""
        return f"{self.name}-{self.version}-{self.build}.conda"


class CondaChannel:
    """A channel: archives and `repodata.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[str, dict[str, dict[str, object]]] = {SUBDIR: {}, NOARCH: {}}
        for subdir in self._records:
            (folder / subdir).mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Its address."""
        return self.folder.as_uri()

    def path(self, package: Package) -> Path:
        """Return where a package's archive is."""
        return self.folder / package.subdir / package.file_name

    def add(self, *packages: Package) -> None:
        """Write archives and have them in the index."""
        for package in packages:
            content = _archive(package)
            self.path(package).write_bytes(content)
            self._records[package.subdir][package.file_name] = {
                **_index_json(package),
                "size": len(content),
                "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        self.write_index()

    def write_index(self, *, without: str = "") -> None:
        """Write the index; `without` leaves one field out of all its records."""
        for subdir, records in self._records.items():
            told = {
                file: {key: value for key, value in record.items() if key != without}
                for file, record in records.items()
            }
            repodata = {
                "info": {"subdir": subdir},
                "packages": {},
                "packages.conda": told,
                "removed": [],
                "repodata_version": 1,
            }
            (self.folder / subdir / "repodata.json").write_text(json.dumps(repodata))

    def copy(self, folder: Path) -> CondaChannel:
        """Return a copy that a test may change."""
        shutil.copytree(self.folder, folder)
        copy = CondaChannel(folder)
        copy._records = {subdir: dict(records) for subdir, records in self._records.items()}
        return copy

    @classmethod
    def at(cls, folder: Path) -> CondaChannel:
        """Return the channel that is in a folder already."""
        channel = cls(folder)
        for subdir in channel._records:
            told = json.loads((folder / subdir / "repodata.json").read_text())
            channel._records[subdir] = told["packages.conda"]
        return channel


def python_package() -> Package:
    """Return this interpreter as a package."""
    prefix = Path(sys.base_prefix)
    xy = f"{sys.version_info.major}.{sys.version_info.minor}"
    if prefix == Path("/usr"):
        raise AssertionError("Debian's Python can't be packed; use one with a tree of its own")
    program = f"bin/python{xy}"
    files = {f"lib/python{xy}/{name}": path for name, path in _library(prefix / f"lib/python{xy}")}
    files |= {f"lib/{path.name}": path for path in prefix.glob(f"lib/libpython{xy}*.so*")}
    files[program] = prefix / program
    content = {name: _relocatable(path.read_bytes(), prefix) for name, path in files.items()}
    return Package(
        "python",
        ".".join(map(str, sys.version_info[:3])),
        f"0_cp{xy.replace('.', '')}",
        SUBDIR,
        ["__glibc >=2.17,<3.0.a0"],
        {**content, f"lib/python{xy}/site-packages/README.txt": "third-party packages go here\n"},
        {"bin/python": f"python{xy}", "bin/python3": f"python{xy}"},
        frozenset({program}),
    )


def installed_package(name: str) -> Package:
    """Return a distribution that is installed beside the tests, pure or for this Python."""
    found = distribution(name)
    paths = [path for path in found.files or () if ".." not in path.parts and path.suffix != ".pyc"]
    content = {str(path): Path(str(path.locate())).read_bytes() for path in paths}
    content = {
        path: b"conda" if path.endswith("/INSTALLER") else each for path, each in content.items()
    }
    xy = f"{sys.version_info.major}.{sys.version_info.minor}"
    if any(path.suffix == ".so" for path in paths):
        files: dict[str, bytes | str] = {
            f"lib/python{xy}/site-packages/{path}": each for path, each in content.items()
        }
        needs = [f"python {xy}.*"]
        return Package(name, found.version, f"py{xy.replace('.', '')}_0", SUBDIR, needs, files)
    return noarch_package(name, found.version, content)


def noarch_package(
    name: str, version: str, modules: Mapping[str, bytes | str], *, depends: Sequence[str] = ()
) -> Package:
    """Return a pure package of modules, for any Python."""
    files = {f"site-packages/{path}": each for path, each in modules.items()}
    needs = ["python >=3", *depends]
    return Package(name, version, "py_0", NOARCH, needs, files, is_python=True)


def _library(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name in _NOT_PACKED or path.name.startswith("config-") or path.is_symlink():
            continue
        if path.is_dir():
            yield from ((f"{path.name}/{name}", each) for name, each in _library(path))
        else:
            yield path.name, path


def _relocatable(content: bytes, prefix: Path) -> bytes:
    """Put the placeholder into a text; let a program look for its libraries beside itself."""
    old = str(prefix).encode()
    if b"\0" not in content[:8192]:
        return content.replace(old, _PLACEHOLDER.encode())
    rpath = old + b"/lib\0"
    padded = _RPATH + b"\0" * (len(rpath) - len(_RPATH))
    return content.replace(rpath, padded) if len(padded) == len(rpath) else content


def _index_json(package: Package) -> dict[str, object]:
    found: dict[str, object] = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": 0,
        "depends": list(package.depends),
        "constrains": [],
        "subdir": package.subdir,
        "timestamp": _TIME_S * 1000,
        "license": "",
    }
    if package.subdir == NOARCH:
        found["noarch"] = "python" if package.is_python else "generic"
    return found


def _archive(package: Package) -> bytes:
    """Return a `.conda` file: two compressed tars in a zip, stored."""
    files = {name: _bytes(content) for name, content in package.files.items()}
    info = {"info/index.json": _index_json(package), "info/paths.json": _paths(package, files)}
    if package.is_python:
        info["info/link.json"] = {"noarch": {"type": "python"}, "package_metadata_version": 1}
    stem = package.file_name.removesuffix(".conda")
    described = {name: json.dumps(each).encode() for name, each in info.items()}
    described["info/files"] = "".join(f"{name}\n" for name in sorted(files)).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        _store(archive, "metadata.json", b'{"conda_pkg_format_version": 2}')
        _store(archive, f"pkg-{stem}.tar.zst", _tar(files, package.links, package.programs))
        _store(archive, f"info-{stem}.tar.zst", _tar(described, {}, frozenset()))
    return written.getvalue()


def _store(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, (2023, 11, 14, 0, 0, 0)), content)


def _tar(files: Mapping[str, bytes], links: Mapping[str, str], programs: frozenset[str]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = _member(name)
            member.size, member.mode = len(content), 0o755 if name in programs else 0o644
            tar.addfile(member, io.BytesIO(content))
        for name, target in sorted(links.items()):
            member = _member(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return zstandard.ZstdCompressor(level=1).compress(written.getvalue())


def _member(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mtime = _TIME_S
    return member


def _paths(package: Package, files: Mapping[str, bytes]) -> dict[str, object]:
    paths = [_path(name, content) for name, content in sorted(files.items())]
    for name, target in sorted(package.links.items()):
        content = files[str(Path(name).parent / target)]
        paths.append({**_path(name, content), "path_type": "softlink"})
    return {"paths": paths, "paths_version": 1}


def _path(name: str, content: bytes) -> dict[str, object]:
    found: dict[str, object] = {
        "_path": name,
        "path_type": "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
    if _PLACEHOLDER.encode() in content:
        found |= {"prefix_placeholder": _PLACEHOLDER, "file_mode": "text"}
    return found


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
