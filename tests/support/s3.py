"""An S3 of our own: moto's server in a process of its own, on a free port.

with s3_server() as s3:
    bucket = s3.make_bucket()
    open_artifacts(f"s3://{bucket}/a", destination="", variables=s3.variables)
"""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

READY = re.compile(r"Running on (http://\S+)")


@dataclass(frozen=True)
class S3Server:
    """A running S3, which takes any key."""

    url: str

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process's environment needs to reach it."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self) -> str:
        """Make a bucket and give its name."""
        name = f"bucket-{uuid.uuid4().hex}"
        assert self.request("PUT", f"/{name}") == 200
        return name

    def unfinished_uploads(self, bucket: str) -> int:
        """Count the uploads in parts that are neither complete nor given up."""
        return self._read(f"/{bucket}?uploads").count(b"<Upload>")

    def keys(self, bucket: str) -> list[str]:
        """Give the keys of all objects."""
        text = self._read(f"/{bucket}?list-type=2").decode()
        return re.findall(r"<Key>([^<]*)</Key>", text)

    def request(self, method: str, path: str) -> int:
        """Send a request, without signing it; give the status."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            return connection.getresponse().status

    def _read(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server; it keeps everything in memory and forgets it at the end."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        told = ""
        while not (ready := READY.search(told)):
            line = process.stderr.readline()
            assert line, f"the S3 server did not start: {told}"
            told += line
        # What it logs later is nobody's; a full pipe must not hold it up.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield S3Server(ready[1])
        finally:
            process.terminate()
            process.wait(20)
            drain.wait(20)
