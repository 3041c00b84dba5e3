"""A job's files, where its engine may be on another machine: copied into the container, and back.

On the way they are in a file, since data may be larger than memory.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from docker import APIClient
from docker.errors import NotFound

from flowrun.executors.base import Container, Job


def copy_in(api: APIClient, container_id: str, job: Job, container: Container) -> None:
    """Copy what the container is to see, each path to its own place; the logs are not for it."""
    logs = str(job.stdout.parent)

    def as_the_callers(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        # By number: the names of this machine's users mean nothing in the container.
        member.uid, member.gid = os.getuid(), os.getgid()
        member.uname = member.gname = ""
        return None if f"/{member.name}" == logs else member

    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for bind in container.binds:
                archive.add(bind.path, bind.path.relative_to("/"), filter=as_the_callers)
        packed.seek(0)
        api.put_archive(container_id, "/", packed)


def copy_back(api: APIClient, container_id: str, container: Container) -> None:
    """Copy back what the job has made, over what is here; it becomes the caller's.

    Left out is what has no place here: links that lead out of it, devices, sockets.

    Raises:
        OSError: it can't be read or written.
    """
    for path in container.taken_back:
        with suppress(NotFound), tempfile.TemporaryFile() as packed:
            chunks, _ = api.get_archive(container_id, str(path))  # NotFound: nothing was made
            for chunk in chunks:
                packed.write(chunk)
            packed.seek(0)
            _unpack(packed, path.parent)


def _unpack(packed: IO[bytes], folder: Path) -> None:
    def inside(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            return None
        try:
            return tarfile.data_filter(member, place)
        except tarfile.FilterError:
            return None

    try:
        with tarfile.open(fileobj=packed) as archive:
            archive.extractall(folder, filter=inside)  # noqa: S202 - each member is looked at
    except tarfile.TarError as error:
        raise OSError(f"what the container made could not be copied back: {error}") from error
