"""Fetches what a `path` argument names when that is no file of this machine."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flowrun.engine.services import Services
from flowrun.engine.steps.local_paths import scheme_of
from flowrun.errors import InvalidValueError
from flowrun.models.uri import parse_model_uri
from flowrun.registry.files import find_files
from flowrun.sources.credentials import Credentials
from flowrun.sources.source import Progress
from flowrun.sources.uri import ZipUri
from flowrun.tracking.artifacts import PROXIED, REMOTE_SCHEMES, Artifacts
from flowrun.valueclass import valueclass

Download = Callable[[ZipUri, Path, Mapping[str, str], float, Progress, int], None]

FICLONE = 0x40049409
"""ioctl(2): share the blocks of a file; Btrfs, XFS and others do, most do not."""
LINKED_FROM_BYTES = 64 << 20
"""A local artifact from this size on is linked (read-only), not copied, into a step's inputs."""
DOWNLOAD_LIMIT_BYTES = 1 << 40
"""More than any disk holds: what a project asks for it gets."""
WEB_SCHEMES = frozenset({"http", "https"})
MODEL_SCHEMES = frozenset({"runs", "models"})
_ODD_IN_A_NAME = re.compile(r"[^\w.\- ]+")


def unfetchable(uri: str) -> str | None:
    """Say why nothing can be fetched from a URI, by its looks; None if something may be there."""
    scheme = scheme_of(uri)
    if scheme in MODEL_SCHEMES:
        try:
            parse_model_uri(uri)
        except InvalidValueError as error:
            return str(error)
    elif scheme not in {*WEB_SCHEMES, *REMOTE_SCHEMES, PROXIED}:
        known = ", ".join(sorted({*WEB_SCHEMES, *MODEL_SCHEMES, *REMOTE_SCHEMES, PROXIED}))
        return f"'{uri}': nothing is fetched by '{scheme}:'; known are {known}"
    return None


@valueclass
class Fetcher:
    """Fetches `runs:/`, `models:/`, a file of the web, or what fsspec knows."""

    services: Services
    progress: Progress

    def __call__(self, uri: str, folder: Path) -> Path:
        """Put what `uri` names into `folder`; give its path.

        Raises:
            FlowrunError: there is no such thing, or nobody answers.
        """
        if scheme_of(uri) in WEB_SCHEMES:
            return self._download(uri, folder)
        artifacts, path = self.locate(uri)
        target = folder / (path.rsplit("/", 1)[-1] or "artifacts")
        local = artifacts.local_path(path)
        if local is not None and local.exists():
            _copy(local, target)
        else:
            artifacts.get(path, target)
        return target

    def locate(self, uri: str) -> tuple[Artifacts, str]:
        """Find the artifacts that `uri` names, and its path in them.

        Raises:
            FlowrunError: there is no such run or model, or nobody answers.
        """
        if scheme_of(uri) not in MODEL_SCHEMES:
            base, _, name = uri.rstrip("/").rpartition("/")
            return self.services.open_artifacts(base), name
        return find_files(self.services, uri)

    def _download(self, uri: str, folder: Path) -> Path:
        file = _web_file(uri)
        name = _ODD_IN_A_NAME.sub("_", unquote(file.url.rpartition("/")[2]))
        target = folder / (name if name.strip(".") else "download")
        services = self.services
        patience_s = services.sources.git.patience_s
        # By name: http and ssl take as long to import as a trivial step to run.
        download: Download = import_module("flowrun.sources.download").download
        download(file, target, services.variables, patience_s, self.progress, DOWNLOAD_LIMIT_BYTES)
        return target


def _web_file(uri: str) -> ZipUri:
    """Take a URL apart; what it says before its `@` goes to its host only."""
    try:
        parts = urlsplit(uri)
        secret = (unquote(parts.username or ""), unquote(parts.password or ""))
    except ValueError as error:
        # The text is not shown: it may hold a token.
        raise InvalidValueError(f"the URL can't be read: {error}") from None
    host = parts.netloc.rpartition("@")[2]
    credentials = Credentials(f"{parts.scheme}://{host}", *secret) if any(secret) else None
    return ZipUri(f"{parts.scheme}://{host}{parts.path}", parts.query, credentials=credentials)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or directory, sharing blocks or linking large files where that can be done."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
    else:
        _copy_file(str(source), str(target))


def _copy_file(source: str, target: str) -> str:
    with open(source, "rb") as from_file:  # noqa: PTH123 - copytree hands over texts
        info = os.fstat(from_file.fileno())
        with open(target, "wb") as to_file:  # noqa: PTH123
            try:
                fcntl.ioctl(to_file.fileno(), FICLONE, from_file.fileno())
            except OSError:
                is_shared = False
            else:
                is_shared = True
    if is_shared:
        shutil.copystat(source, target)
    elif info.st_size >= LINKED_FROM_BYTES and _link(source, target):
        pass
    else:
        shutil.copy2(source, target)
    return target


def _link(source: str, target: str) -> bool:
    """Replace `target` by a hard link to a file that nobody may write; False across devices."""
    os.unlink(target)  # noqa: PTH108
    try:
        os.chmod(source, 0o444)  # noqa: PTH101 - the two are one file from here on
        os.link(source, target)
    except OSError:
        return False
    return True
