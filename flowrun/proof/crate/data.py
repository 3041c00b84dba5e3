"""The files of a crate: copied into it, or referred to where they are too large or not wanted."""

from __future__ import annotations

import mimetypes
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from flowrun.engine.record.recorder import TREES
from flowrun.proof.canonical import JsonObject
from flowrun.proof.contents import RunFiles, StoredFile, check_unchanged
from flowrun.proof.crate.graph import Graph, path_id, refs
from flowrun.proof.crate.target import CrateTarget
from flowrun.proof.recorded import RecordedContent, RecordedRun, RecordedStep

_ODD = re.compile(r"[^A-Za-z0-9._=-]+")
_KEPT_ELSEWHERE = ("flowrun/", "outputs/")
"""Of a run's artifacts, what has a place of its own in the crate."""
_IN_A_URI = ":/=,@+"
_TYPES = {
    ".lock": "text/plain",
    ".pack": "application/x-git",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".diff": "text/x-diff",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


@dataclass(slots=True)
class CrateData:
    """Puts files into a crate and says of each what it is."""

    graph: Graph
    target: CrateTarget
    files: RunFiles
    largest_bytes: int | None
    """Larger files are referred to; None: all are copied."""
    parts: list[str] = field(default_factory=list)
    """Ids of what the crate's root has as parts."""
    by_uri: dict[str, str] = field(default_factory=dict)
    """What an output's URI leads to: the id of its entity."""

    def put_text(self, path: str, text: str, facts: JsonObject) -> str:
        """Store a text as a file; give its id."""
        content = text.encode("utf-8", "surrogateescape")
        sha256 = self.target.put(path, [content])
        entity = self.graph.add(
            path_id(path), "File", _file_facts(path, len(content), sha256) | facts
        )
        self.parts.append(entity)
        return entity

    def put_step(self, number: int, step: RecordedStep) -> list[str]:
        """Store a step's outputs, logs and other artifacts; give the ids of its logs."""
        folder = f"steps/{number:03}-{_harmless(step.id)}"
        for name, content in step.outputs.items():
            if content.uri not in self.by_uri:
                what = f"output '{name}' of step '{step.id}'"
                self.by_uri[content.uri] = self._output(
                    f"{folder}/outputs/{_harmless(name)}", what, content
                )
        for model_id in step.models:
            uri = f"models:/{model_id}"
            if uri not in self.by_uri and (files := self.files.of_model(model_id)):
                place = f"{folder}/models/{_harmless(model_id)}"
                self.by_uri[uri] = self._directory(place, uri, self._all(place, uri, files))
        logs: list[str] = []
        for file in self.files.of_artifacts(step.artifact_uri):
            if not file.name.startswith(_KEPT_ELSEWHERE):
                uri = f"runs:/{step.run_id}/{file.name}"
                entity, _ = self._file(f"{folder}/{file.name}", file, uri)
                self.parts.append(entity)
                logs += [entity] if file.name.startswith("logs/") else []
        return logs

    def put_rest(self, run: RecordedRun) -> None:
        """Store what a pipeline's own run has beside flowrun's files."""
        for file in self.files.of_artifacts(run.artifact_uri):
            if not file.name.startswith(_KEPT_ELSEWHERE):
                uri = f"runs:/{run.run_id}/{file.name}"
                entity, _ = self._file(f"artifacts/{file.name}", file, uri)
                self.parts.append(entity)

    def put_trees(self, run: RecordedRun) -> None:
        """Store the code that was kept with a run: what no repository elsewhere has."""
        for file in self.files.of_artifacts(run.artifact_uri):
            if file.name.startswith(f"{TREES}/"):
                path = f"source/{file.name.removeprefix(f'{TREES}/')}"
                entity, _ = self._file(path, file, f"runs:/{run.run_id}/{file.name}")
                self.parts.append(entity)

    def refer(self, content: RecordedContent, name: str) -> str:
        """Give the id of an input or output; what is not in the crate is described, by its hash."""
        if content.uri in self.by_uri:
            return self.by_uri[content.uri]
        facts: JsonObject = {
            "name": name,
            "contentUrl": content.uri,
            "contentSize": str(content.size_bytes),
            "sha256": content.sha256,
            "encodingFormat": _media_type(content.uri),
        }
        # Named by what it is, not where: the place may hold something else by now (RFC 6920).
        digest = urlsafe_b64encode(bytes.fromhex(content.sha256)).decode().rstrip("=")
        entity = self.graph.add(f"ni:///sha-256;{digest}", "File", facts)
        self.parts.append(entity)
        return entity

    def _output(self, place: str, what: str, content: RecordedContent) -> str:
        contents = self.files.of_content(content)
        if contents is None or not (contents.is_directory or self._is_kept(*contents.files)):
            return self.refer(content, what)
        if contents.is_directory:
            stored = self._all(place, content.uri, contents.files)
            if self._is_kept(*contents.files):
                check_unchanged(what, content, contents, [sha256 for _, sha256 in stored])
            identifier = f"directory/1:sha256:{content.sha256}"
            return self._directory(place, content.uri, stored, identifier)
        (file,) = contents.files
        entity, sha256 = self._file(f"{place}/{file.name}", file, content.uri)
        check_unchanged(what, content, contents, [sha256])
        self.parts.append(entity)
        return entity

    def _all(self, place: str, uri: str, files: Iterable[StoredFile]) -> list[tuple[str, str]]:
        return [self._file(f"{place}/{each.name}", each, f"{uri}/{each.name}") for each in files]

    def _directory(
        self, place: str, uri: str, stored: list[tuple[str, str]], identifier: str | None = None
    ) -> str:
        facts: JsonObject = {
            "name": uri,
            "identifier": identifier,
            "hasPart": refs(entity for entity, _ in stored),
        }
        is_here = any(sha256 for _, sha256 in stored)
        entity_id = path_id(place) if is_here else quote(uri, safe=_IN_A_URI)
        entity = self.graph.add(f"{entity_id}/", "Dataset", facts)
        self.parts.append(entity)
        return entity

    def _file(self, path: str, file: StoredFile, uri: str) -> tuple[str, str]:
        """Copy a file, or refer to it; give its id, and its sha256, '' if it was not read."""
        if not self._is_kept(file):
            facts = _file_facts(file.name, file.size_bytes, None)
            return self.graph.add(quote(uri, safe=_IN_A_URI), "File", facts), ""
        sha256 = self.target.put(path, file.chunks())
        facts = _file_facts(path, file.size_bytes, sha256)
        return self.graph.add(path_id(path), "File", facts), sha256

    def _is_kept(self, *files: StoredFile) -> bool:
        limit = self.largest_bytes
        return limit is None or all(file.size_bytes <= limit for file in files)


def _harmless(name: str) -> str:
    """Give a name that is one part of a path anywhere."""
    return _ODD.sub("-", name).strip("-.") or "unnamed"


def _file_facts(path: str, size_bytes: int, sha256: str | None) -> JsonObject:
    return {
        "name": path,
        "contentSize": str(size_bytes),
        "sha256": sha256,
        "encodingFormat": _media_type(path),
    }


def _media_type(path: str) -> str:
    name = path.rpartition("/")[2]
    known = _TYPES.get(f".{name.rpartition('.')[2].lower()}")
    return known or mimetypes.guess_type(name)[0] or "application/octet-stream"
