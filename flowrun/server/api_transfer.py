"""Files that clients move to and from the storage themselves, by URLs that are signed here.

Only object storage has it (S3). Elsewhere the answer is 501 in MLflow's words, at which its clients
send the file through the server instead.
Source: MLflow REST API, `mlflow-artifacts/mpu` and `presigned`.
"""

from __future__ import annotations

import posixpath
from urllib.parse import urlsplit

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.server.messages import Call, Permission, Route
from flowrun.server.places import open_root_transfer
from flowrun.tracking.artifacts import PROXIED, DirectTransfer
from flowrun.tracking.fields import JsonObject

_MULTIPART_UPLOAD = "Multipart upload"
_PRESIGNED_UPLOAD = "Presigned upload"
_PRESIGNED_DOWNLOAD = "Presigned download"
_DOWNLOAD_VALID_S = 300
_UPLOAD_VALID_S = 900
_MAX_VALID_S = 604_800
"""S3 refuses to honour a longer validity, and says so only when the URL is used."""


def start_upload(call: Call) -> JsonObject:
    """Begin a file in parts; give a URL for each part."""
    transfer = _proxied(call, _MULTIPART_UPLOAD)
    started = transfer.start_parts(_file_path(call), call.fields.integer_or("num_parts", 1))
    credentials = [
        {"part_number": number, "url": url, "headers": {}}
        for number, url in enumerate(started.urls, start=1)
    ]
    return {"upload_id": started.upload_id, "credentials": credentials}


def complete_upload(call: Call) -> JsonObject:
    """Put a file together from its parts."""
    transfer = _proxied(call, _MULTIPART_UPLOAD)
    call.fields.require("parts")
    parts = [
        (part.integer("part_number"), part.text("etag")) for part in call.fields.objects("parts")
    ]
    transfer.complete_parts(_file_path(call), call.fields.text("upload_id"), sorted(parts))
    return {}


def abort_upload(call: Call) -> JsonObject:
    """Give a file in parts up."""
    transfer = _proxied(call, _MULTIPART_UPLOAD)
    transfer.abort_parts(_file_path(call), call.fields.text("upload_id"))
    return {}


def get_download_url(call: Call) -> JsonObject:
    """Give a URL to read a file below the artifacts destination at."""
    transfer = _proxied(call, _PRESIGNED_DOWNLOAD)
    url, size_bytes = transfer.download_url(call.fields.text("path"), _DOWNLOAD_VALID_S)
    return {"url": url, "headers": {}, "file_size": size_bytes}


def create_download_url(call: Call) -> JsonObject:
    """Give a URL to read one of a run's artifacts at, if they lie directly in object storage."""
    fields = call.fields
    run_id, path = fields.text("run_id"), fields.text("path")
    valid_s = _validity(call, _DOWNLOAD_VALID_S)
    root = call.stores.tracking.get_run(run_id).info.artifact_uri
    url, size_bytes = _direct(call, root, _PRESIGNED_DOWNLOAD).download_url(path, valid_s)
    return {"presigned_url": url, "headers": {}, "file_size": size_bytes}


def create_upload_url(call: Call) -> JsonObject:
    """Give a URL to write an artifact of a run or logged model at, if they lie so."""
    fields = call.fields
    run_id, model_id = fields.text_or("run_id"), fields.text_or("model_id")
    if bool(run_id) == bool(model_id):
        raise InvalidValueError("Exactly one of run_id and model_id must be provided.")
    path = fields.text("path")
    valid_s = _validity(call, _UPLOAD_VALID_S)
    tracking = call.stores.tracking
    if run_id:
        root = tracking.get_run(run_id).info.artifact_uri
    else:
        root = tracking.get_logged_model(model_id).artifact_uri
    url = _direct(call, root, _PRESIGNED_UPLOAD).upload_url(path, valid_s)
    return {"presigned_url": url, "headers": {}}


def _file_path(call: Call) -> str:
    """Give the path of the file: the folder of the URL, and the name of the caller's own file."""
    name = posixpath.basename(call.fields.text("path"))
    return posixpath.join(call.fields.text_or("folder"), name)


def _validity(call: Call, default_s: int) -> int:
    valid_s = call.fields.integer_or("expiration", default_s)
    if not 1 <= valid_s <= _MAX_VALID_S:
        raise InvalidValueError(
            f"expiration must be between 1 and {_MAX_VALID_S} seconds (got {valid_s})."
        )
    return valid_s


def _proxied(call: Call, what: str) -> DirectTransfer:
    return _open(call, f"{PROXIED}:/", what)


def _direct(call: Call, root: str, what: str) -> DirectTransfer:
    scheme = urlsplit(root).scheme
    if scheme in {"http", "https", PROXIED}:
        raise InvalidValueError(
            f"{what} is not supported for proxied artifact storage (artifact URI scheme: {scheme})."
        )
    return _open(call, root, what)


def _open(call: Call, root: str, what: str) -> DirectTransfer:
    transfer = open_root_transfer(call.stores, root)
    if transfer is None:
        raise UnsupportedError(f"{what} is not supported for the current artifact repository")
    return transfer


_PROXY = "/api/2.0/mlflow-artifacts"
_RUNS = "/api/2.0/mlflow/artifacts"
_READ, _WRITE = Permission.READ, Permission.WRITE
_STEPS = {"create": start_upload, "complete": complete_upload, "abort": abort_upload}

ROUTES = (
    *(
        Route("POST", f"{_PROXY}/mpu/{step}{folder}", _WRITE, handler, is_slow=True)
        for step, handler in _STEPS.items()
        for folder in ("", "/{folder...}")
    ),
    Route("GET", f"{_PROXY}/presigned/{{path...}}", _READ, get_download_url, is_slow=True),
    Route("POST", f"{_RUNS}/presigned-download-url", _READ, create_download_url, is_slow=True),
    Route("POST", f"{_RUNS}/presigned-upload-url", _WRITE, create_upload_url, is_slow=True),
)
