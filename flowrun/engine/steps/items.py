"""The items of a step whose `foreach` is decided while the plan runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from flowrun.engine.cache.digest import Digest
from flowrun.engine.cache.memo import DigestMemo
from flowrun.engine.steps.fetch import Fetcher
from flowrun.engine.values import OutputValue
from flowrun.errors import PlanError
from flowrun.plan.matrix import items_of
from flowrun.plan.plan import Item
from flowrun.spec.parse_fan import MAX_INSTANCES
from flowrun.tracking.artifacts import Artifacts
from flowrun.valueclass import valueclass

MAX_LIST_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20


@valueclass
class ItemFinder:
    """Finds the items that a value stands for."""

    fetcher: Fetcher
    memo: DigestMemo

    def find(self, found: object) -> tuple[Item, ...]:
        """Give the items: of a list, of a JSON list as text or in a file, or a folder's files.

        Raises:
            PlanError: it is nothing of this kind, or too much of it.
            FlowrunError, OSError: it can't be read.
        """
        if not isinstance(found, OutputValue):
            return items_of(found)
        artifacts, path = self.fetcher.locate(str(found))
        files = list(_files(artifacts, path))
        if files == [path]:
            return items_of(_json_in(artifacts, path, str(found)))
        if len(files) > MAX_INSTANCES:
            most = f"at most {MAX_INSTANCES:,} can be"
            raise PlanError(f"its foreach comes to {len(files):,} files; {most}")
        return tuple(self._file(found, artifacts, path, each) for each in files)

    def _file(self, folder: OutputValue, artifacts: Artifacts, path: str, file: str) -> Item:
        name = file.removeprefix(f"{path}/")
        local = artifacts.local_path(file)
        digest = _streamed(artifacts, file) if local is None else self.memo.digest_of(local)
        return Item(OutputValue.of(f"{folder}/{name}", digest, is_model=False), name)


def _files(artifacts: Artifacts, path: str) -> Iterator[str]:
    """Yield all files below a folder, by their paths; of a file itself alone."""
    local = artifacts.local_path(path)
    if local is not None:
        if not local.is_dir():
            yield path
            return
        for each in sorted(below for below in local.rglob("*") if below.is_file()):
            yield f"{path}/{each.relative_to(local).as_posix()}"
        return
    waiting, found = [path], list[str]()
    while waiting:
        for info in artifacts.list(waiting.pop()):
            (waiting if info.is_dir else found).append(info.path)
    yield from sorted(found) or [path]


def _json_in(artifacts: Artifacts, path: str, shown: str) -> object:
    with artifacts.open(path) as file:
        content = file.read(MAX_LIST_BYTES + 1)
    if len(content) > MAX_LIST_BYTES:
        raise PlanError(f"its foreach needs a list, but {shown} has over {MAX_LIST_BYTES:,} bytes")
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        told = f"its foreach needs a folder, or a file with a JSON list, and {shown} is neither"
        raise PlanError(told) from None
    return value


def _streamed(artifacts: Artifacts, path: str) -> Digest:
    sha256, size_bytes = hashlib.sha256(), 0
    with artifacts.open(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            size_bytes += len(chunk)
    return Digest(sha256.hexdigest(), size_bytes, is_directory=False)
