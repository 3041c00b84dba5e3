"""Zip projects: unpacked with limits, refused if they reach out of their folder, kept as trees.

Loaded only for a zip: what reads them and fetches them takes long to import.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from pathlib import Path

from flowrun.errors import SourceError
from flowrun.sources.cache import SourceCache
from flowrun.sources.copies import remove, unwritable
from flowrun.sources.download import download
from flowrun.sources.repository import Repository, TreeEntry
from flowrun.sources.source import Progress, Source, SourceKind
from flowrun.sources.uri import LocalUri, ZipUri
from flowrun.valueclass import valueclass

_CHUNK_BYTES = 1 << 20


@valueclass
class Limits:
    """What a zip file may become; nobody's project is near them, and a bomb is far beyond."""

    members: int = 100_000
    size_bytes: int = 4 << 30
    ratio: int = 200
    """Times the size of the zip file itself..."""
    free_bytes: int = 64 << 20
    """... unless it is less than this."""


def resolve_zip(uri: LocalUri | ZipUri, cache: SourceCache, progress: Progress) -> Source:
    """The tree of a zip file's members.

    Raises:
        SourceError: it is no zip file, or not one that can be written out safely.
        UnreachableError: its host gives no answer.
        StoreError: there is no room for it.
    """
    scratch = cache.scratch()
    try:
        if isinstance(uri, ZipUri):
            shown, file = uri.url, scratch / "download.zip"
            download(uri, file, cache.variables, cache.git.patience_s, progress)
        else:
            shown, file = uri.path.as_uri(), uri.path
        repository = cache.repository(f"zip {shown}", shown)
        tree = _stored(file, shown, repository, scratch)
    except OSError as error:
        raise unwritable(scratch, error) from error
    finally:
        remove(scratch)
    top = _top_folder(repository.entries(tree), uri.subdir)
    return Source(
        kind=SourceKind.ZIP,
        uri=shown + (f"#{uri.subdir}" if uri.subdir else ""),
        repository=repository.path,
        tree=tree,
        subdir="/".join(part for part in (top, uri.subdir) if part),
        commit=None,
    )


def extract(file: Path, shown: str, into: Path, limits: Limits) -> None:
    """Write the members of a zip file to a new folder; links, devices and climbers are refused.

    Args:
        file: the zip file.
        shown: what to call it in a message.
        into: does not exist yet.
        limits: what is refused although it is well formed.

    Raises:
        SourceError: it is no zip file, or not one that can be written out safely.
    """
    allowed = min(limits.size_bytes, max(limits.free_bytes, limits.ratio * file.stat().st_size))
    into.mkdir()
    try:
        with zipfile.ZipFile(file) as archive:
            members = [each for each in archive.infolist() if not _is_left_out(each)]
            if len(members) > limits.members:
                raise SourceError(f"{shown}: holds more than {limits.members} files")
            for member in members:
                allowed -= _extract(archive, member, shown, into, allowed)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(f"{shown}: this is no zip file that can be read: {error}") from error


def _stored(file: Path, shown: str, repository: Repository, scratch: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    pin = f"refs/flowrun/zips/{digest}"
    known = repository.find(pin)
    if known is not None:
        return known
    extract(file, shown, scratch / "files", Limits())
    git = repository.git.on(repository.path, work_tree=scratch / "files", index=scratch / "index")
    git.run("add", "--all", "--force", "--", ".")
    tree = git.text("write-tree")
    repository.pin(pin, tree)
    return tree


def _extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, shown: str, into: Path, allowed: int
) -> int:
    """Write one member; gives its size, counted and not as the zip file says it."""
    _check(member, shown)
    path = into / member.filename
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    size_bytes = 0
    try:
        target = path.open("xb")
    except (FileExistsError, IsADirectoryError) as error:
        raise SourceError(f"{shown}: holds {member.filename!r} twice") from error
    with archive.open(member) as stream, target:
        while data := stream.read(_CHUNK_BYTES):
            size_bytes += len(data)
            if size_bytes > allowed:
                raise SourceError(
                    f"{shown}: unpacks to far more than a project holds, and was refused",
                    "Unpack it yourself, if you trust it, and give the folder.",
                )
            target.write(data)
    if member.external_attr >> 16 & stat.S_IXUSR:
        path.chmod(0o700)
    return size_bytes


def _check(member: zipfile.ZipInfo, shown: str) -> None:
    name = member.filename
    names = name.removesuffix("/").split("/")
    kind = stat.S_IFMT(member.external_attr >> 16)
    reason = None
    if name.startswith("/") or "\\" in name or not name.isprintable():
        reason = "has a name that is no relative path"
    elif any(part in {"", ".", ".."} for part in names):
        reason = "leads out of its folder"
    elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        reason = "is a link or a device"
    elif member.flag_bits & 1:
        reason = "is encrypted"
    if reason:
        raise SourceError(f"{shown}: the member {name!r} {reason}; nothing was unpacked")


def _is_left_out(member: zipfile.ZipInfo) -> bool:
    """Git's own folder, of a checkout that was zipped as it was, and what macOS adds to zips."""
    names = member.filename.split("/")
    return names[0] == "__MACOSX" or ".git" in (name.lower() for name in names[:-1])


def _top_folder(entries: list[TreeEntry], subdir: str) -> str:
    """The one folder that everything is in, as GitHub makes zips, if the project is in it."""
    paths = [entry.path for entry in entries]
    tops = {path.partition("/")[0] for path in paths}
    if len(tops) != 1 or not all("/" in path for path in paths):
        return ""
    (top,) = tops
    if subdir:
        return top if any(path.startswith(f"{top}/{subdir}/") for path in paths) else ""
    return top if any(path.lower() == f"{top}/mlproject".lower() for path in paths) else ""
