"""Recorded outputs as files of this machine, for as long as they are compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.models.uri import LoggedModelUri, RunUri, parse_model_uri
from flowrun.stores import Stores
from flowrun.tracking.artifacts import Artifacts
from flowrun.valueclass import valueclass


@valueclass
class Outputs:
    """Gives the content of outputs by their URIs."""

    stores: Stores

    @contextmanager
    def path(self, uri: str) -> Iterator[Path]:
        """Give a file or directory; a copy, if it is kept elsewhere.

        Raises:
            NotFoundError: it is not there any more.
        """
        artifacts, path = self._locate(uri)
        if not artifacts.exists(path):
            raise NotFoundError(f"{uri} is not there any more")
        local = artifacts.local_path(path)
        if local is not None:
            yield local
            return
        with tempfile.TemporaryDirectory(prefix="flowrun-verify-") as folder:
            target = Path(folder) / (path.rpartition("/")[2] or "artifacts")
            artifacts.get(path, target)
            yield target

    def _locate(self, uri: str) -> tuple[Artifacts, str]:
        tracking = self.stores.tracking
        try:
            match parse_model_uri(uri):
                case RunUri(run_id, path):
                    return self.stores.open_artifacts(
                        tracking.get_run(run_id).info.artifact_uri
                    ), path
                case LoggedModelUri(model_id):
                    model = tracking.get_logged_model(model_id)
                    return self.stores.open_artifacts(model.artifact_uri), ""
                case _:
                    raise NotFoundError(f"{uri} names no output of a run")
        except InvalidValueError as error:
            raise NotFoundError(f"{uri} names no output of a run") from error
