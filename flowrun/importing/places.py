"""Where a source's artifacts may be read from.

An artifact URI in somebody's store is a text that anybody may have put there: copied without
looking, `file:///home/me/.ssh` would be served to the whole team.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from flowrun.errors import InvalidValueError
from flowrun.tracking.artifact_paths import check_uri
from flowrun.tracking.artifacts import PROXIED, Artifacts, open_artifacts


class ArtifactPlaces:
    """The folder of the store itself, and one other place that the user names."""

    def __init__(self, own: Path | None, given: str | None) -> None:
        """Allow at most two places.

        Args:
            own: the folder the store lies in; None: it is elsewhere.
            given: a directory or URL: what lies there may be read too, and `mlflow-artifacts:/`,
                the artifacts of a server, is looked for there.
        """
        self._own = own and own.resolve()
        self._given = given
        self._folder = Path(given).resolve() if given and "://" not in given else None

    def open(self, uri: str) -> Artifacts:
        """Open the artifacts at a URI of the source.

        Raises:
            InvalidValueError: the URI is malformed, or a local path outside both places.
        """
        check_uri(uri)
        parts = urlsplit(uri)
        if parts.scheme == PROXIED:
            # A server's name in the URI says which server had them; they all lie in one place.
            return open_artifacts(f"{PROXIED}:{parts.path}", destination=self._destination(uri))
        if parts.scheme not in {"", "file"}:
            return open_artifacts(uri, destination="")
        place = Path(unquote(parts.path) if parts.scheme else uri)
        if self._own is not None and not place.is_absolute():
            place = self._own / place
        roots = [root for root in (self._own, self._folder) if root is not None]
        if not any(place.resolve().is_relative_to(root) for root in roots):
            raise InvalidValueError(
                f"artifacts at '{uri}' lie outside {' and '.join(map(str, roots)) or 'the server'}",
                "If they are meant, name their folder by --artifacts-from.",
            )
        return open_artifacts(str(place), destination="")

    def _destination(self, uri: str) -> str:
        if self._given is not None:
            return str(self._folder or self._given)
        if self._own is None:
            raise InvalidValueError(f"artifacts at '{uri}' are only known to their server")
        # Where `mlflow server` keeps them unless it is told otherwise.
        return str(self._own / "mlartifacts")
