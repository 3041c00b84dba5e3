"""Files: the artifacts proxy that clients use, and the files of a run, model or version."""

from __future__ import annotations

import mimetypes
import os
import posixpath
import re
from typing import BinaryIO
from urllib.parse import quote

from flowrun.server.api_runs import run_id_of
from flowrun.server.messages import Call, FileBody, Permission, Response, Route
from flowrun.server.places import open_root
from flowrun.tracking.artifacts import PROXIED, Artifacts
from flowrun.tracking.fields import JsonObject
from flowrun.tracking.wire import compact

_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")
_TEXT_SUFFIXES = (".mlmodel", ".yaml", ".yml", ".md", ".jsonl", ".log", ".csv")


def download(call: Call) -> Response:
    """Give the bytes of a file below the artifacts destination."""
    return file_response(call, _proxied(call), call.fields.text("path"))


def upload(call: Call) -> JsonObject:
    """Store the request's bytes as a file below the artifacts destination."""
    _proxied(call).put_stream(call.fields.text("path"), call.body)
    return {}


def delete(call: Call) -> JsonObject:
    """Remove a file or a folder below the artifacts destination."""
    _proxied(call).delete(call.fields.text("path"))
    return {}


def list_proxied(call: Call) -> JsonObject:
    """List a folder below the artifacts destination, by names without their folder."""
    folder = call.fields.text_or("path")
    files = _files_json(_proxied(call), folder)
    for file in files:
        file["path"] = posixpath.basename(str(file["path"]))
    return compact(files=files)


def list_run_artifacts(call: Call) -> JsonObject:
    """List a folder of a run's artifacts."""
    run = call.stores.tracking.get_run(run_id_of(call.fields))
    root = run.info.artifact_uri
    files = _files_json(open_root(call.stores, root), call.fields.text_or("path"))
    return compact(root_uri=root, files=files)


def get_run_artifact(call: Call) -> Response:
    """Give the bytes of one of a run's artifacts."""
    path = call.fields.text("path")
    run = call.stores.tracking.get_run(run_id_of(call.fields))
    return file_response(call, open_root(call.stores, run.info.artifact_uri), path)


def upload_run_artifact(call: Call) -> JsonObject:
    """Store the request's bytes as one of a run's artifacts."""
    path = call.fields.text("path")
    run = call.stores.tracking.get_run(run_id_of(call.fields))
    open_root(call.stores, run.info.artifact_uri).put_stream(path, call.body)
    return {}


def list_model_artifacts(call: Call) -> JsonObject:
    """List a folder of a logged model's files."""
    model = call.stores.tracking.get_logged_model(call.fields.text("model_id"))
    folder = call.fields.text_or("artifact_directory_path")
    files = _files_json(open_root(call.stores, model.artifact_uri), folder)
    return compact(root_uri=model.artifact_uri, files=files)


def get_model_artifact(call: Call) -> Response:
    """Give the bytes of one of a logged model's files."""
    path = call.fields.text("artifact_file_path")
    model = call.stores.tracking.get_logged_model(call.fields.text("model_id"))
    return file_response(call, open_root(call.stores, model.artifact_uri), path)


def get_version_artifact(call: Call) -> Response:
    """Give the bytes of one of a model version's files."""
    fields = call.fields
    name, number, path = fields.text("name"), fields.text("version"), fields.text("path")
    version = call.stores.registry.get_model_version(name, number)
    return file_response(call, open_root(call.stores, version.download_uri), path)


def _proxied(call: Call) -> Artifacts:
    return open_root(call.stores, f"{PROXIED}:/")


def _files_json(artifacts: Artifacts, folder: str) -> list[JsonObject]:
    return [
        compact(path=item.path, is_dir=item.is_dir, file_size=item.size_bytes)
        for item in artifacts.list(folder)
    ]


def file_response(call: Call, artifacts: Artifacts, path: str) -> Response:
    """Give a file's bytes, or the part of them that the call asks for, as a download."""
    file = artifacts.open(path)
    size = file.seek(0, os.SEEK_END)
    headers = [
        (b"content-type", _kind(path).encode()),
        (b"content-disposition", _attachment(posixpath.basename(path))),
        (b"x-content-type-options", b"nosniff"),
        (b"accept-ranges", b"bytes"),
    ]
    part = call.headers.get(b"range")
    if part is None or (span := _span(part, size)) is None:
        headers.append((b"content-length", str(size).encode()))
        return Response(200, headers, FileBody(file, 0, size))
    return _part_response(file, span, size, headers)


def _part_response(
    file: BinaryIO, span: range, size: int, headers: list[tuple[bytes, bytes]]
) -> Response:
    if not span:
        file.close()
        headers += [(b"content-range", f"bytes */{size}".encode()), (b"content-length", b"0")]
        return Response(416, headers, b"")
    headers += [
        (b"content-range", f"bytes {span.start}-{span.stop - 1}/{size}".encode()),
        (b"content-length", str(len(span)).encode()),
    ]
    return Response(206, headers, FileBody(file, span.start, len(span)))


def _span(header: bytes, size: int) -> range | None:
    """Give the bytes a Range header asks for: None for all of them, empty if there are none.

    Source: RFC 9110, section 14; several ranges in one request may be answered with all.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == (b"", b""):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < int(first):
        return None
    return range(int(first), stop)


def _kind(path: str) -> str:
    """Give the content type; what MLflow shows as text is text."""
    if path.lower().endswith(_TEXT_SUFFIXES) or posixpath.basename(path) == "MLmodel":
        return "text/plain"
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def _attachment(name: str) -> bytes:
    """Give a Content-Disposition, so that a browser saves the file and never shows it.

    Source: RFC 6266; the plain name is for old clients.
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()


_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_MODEL = "/2.0/mlflow/logged-models/{model_id}/artifacts"
_READ, _WRITE = Permission.READ, Permission.WRITE

ROUTES = (
    Route("GET", f"{_PROXY}/{{path...}}", _READ, download, is_slow=True, gives_file=True),
    Route("PUT", f"{_PROXY}/{{path...}}", _WRITE, upload, is_slow=True, takes_file=True),
    Route("DELETE", f"{_PROXY}/{{path...}}", _WRITE, delete, is_slow=True),
    Route("GET", _PROXY, _READ, list_proxied, is_slow=True),
    Route("GET", "/api/2.0/mlflow/artifacts/list", _READ, list_run_artifacts, is_slow=True),
    Route("GET", "/get-artifact", _READ, get_run_artifact, is_slow=True, gives_file=True),
    Route(
        "POST",
        "/ajax-api/2.0/mlflow/upload-artifact",
        _WRITE,
        upload_run_artifact,
        is_slow=True,
        takes_file=True,
    ),
    Route("GET", f"/api{_MODEL}/directories", _READ, list_model_artifacts, is_slow=True),
    Route(
        "GET", f"/ajax-api{_MODEL}/files", _READ, get_model_artifact, is_slow=True, gives_file=True
    ),
    Route(
        "GET",
        "/model-versions/get-artifact",
        _READ,
        get_version_artifact,
        is_slow=True,
        gives_file=True,
    ),
)
