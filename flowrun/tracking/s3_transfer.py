"""Direct transfers with S3: URLs that are signed here and used by clients.

Source: Amazon S3 API, "Multipart upload" and "Presigned URLs"; s3fs, `url` and `call_s3`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import fsspec

from flowrun.errors import FlowrunError, InvalidValueError, NotFoundError, StoreError
from flowrun.tracking.artifact_paths import check_artifact_path
from flowrun.tracking.artifacts import PartsUpload
from flowrun.tracking.remote_artifacts import check_installed, s3_options

_MAX_PARTS = 10_000
_PART_URL_VALID_S = 3600


class S3Transfer:
    """The `DirectTransfer` of a folder in a bucket."""

    def __init__(self, files: fsspec.AbstractFileSystem, root: str) -> None:
        self._files = files
        self._root = root.rstrip("/")

    def download_url(self, path: str, valid_s: int) -> tuple[str, int]:
        """Give a URL to GET a file at, and its size in bytes."""
        with self._plain_errors(path):
            place = self._place(path)
            self._files.invalidate_cache()
            info = self._files.info(place)
            if info["type"] != "file":
                raise FileNotFoundError
            return str(self._files.url(place, expires=valid_s)), int(info["size"])

    def upload_url(self, path: str, valid_s: int) -> str:
        """Give a URL to PUT a file at."""
        with self._plain_errors(path):
            place = self._place(path)
            return str(self._files.url(place, expires=valid_s, client_method="put_object"))

    def start_parts(self, path: str, count: int) -> PartsUpload:
        """Begin a file of so many parts."""
        if not 1 <= count <= _MAX_PARTS:
            raise InvalidValueError(
                f"Invalid value {count} for parameter 'num_parts' supplied. "
                f"It must be at least 1 and at most {_MAX_PARTS}."
            )
        with self._plain_errors(path):
            place = self._place(path)
            made = self._files.call_s3("create_multipart_upload", **_object(place))
            upload_id = str(made["UploadId"])
            urls = [
                str(
                    self._files.url(
                        place,
                        expires=_PART_URL_VALID_S,
                        client_method="upload_part",
                        PartNumber=number,
                        UploadId=upload_id,
                    )
                )
                for number in range(1, count + 1)
            ]
            return PartsUpload(upload_id, urls)

    def complete_parts(self, path: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        """Put a file together from its parts."""
        with self._plain_errors(path, upload_id):
            self._files.call_s3(
                "complete_multipart_upload",
                **_object(self._place(path)),
                UploadId=upload_id,
                MultipartUpload={
                    "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]
                },
            )

    def abort_parts(self, path: str, upload_id: str) -> None:
        """Give a file up, and remove the parts that are there."""
        with self._plain_errors(path, upload_id):
            self._files.call_s3(
                "abort_multipart_upload", **_object(self._place(path)), UploadId=upload_id
            )

    def _place(self, path: str) -> str:
        checked = check_artifact_path(path)
        if not checked:
            raise InvalidValueError("Invalid path '': a file must be named.")
        return f"{self._root}/{checked}"

    @contextlib.contextmanager
    def _plain_errors(self, path: str, upload_id: str | None = None) -> Iterator[None]:
        try:
            yield
        except FlowrunError:
            raise
        except FileNotFoundError:
            # What S3 says of an upload it doesn't know, too.
            which = f"upload '{upload_id}' of" if upload_id else "artifact:"
            raise NotFoundError(f"No such {which} '{path}'") from None
        except Exception as error:  # s3fs lets errors of botocore's own through
            if upload_id is not None and "InvalidPart" in str(error.__cause__ or error):
                raise InvalidValueError(f"The parts of '{path}' do not fit: {error}") from error
            raise StoreError(f"artifacts s3://{self._root}: '{path}': {error}") from error


def open_s3_transfer(uri: str, path: str, variables: Mapping[str, str]) -> S3Transfer:
    """Open the folder `path`, checked, below an `s3:` URL.

    Raises:
        UnsupportedError: s3fs is not installed.
    """
    check_installed(uri)
    files, root = fsspec.core.url_to_fs(uri, **s3_options(variables))
    return S3Transfer(files, f"{root}/{path}" if path else root)


def _object(place: str) -> dict[str, str]:
    bucket, _, key = place.partition("/")
    return {"Bucket": bucket, "Key": key}
