"""The released RO-Crate validator, without a network: it knows the one context that crates name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


@dataclass(frozen=True)
class Verdict:
    """What the validator said."""

    profile: str
    issues: frozenset[tuple[str, str]]
    """Severity and message of everything that it found."""

    def of(self, severity: str) -> set[str]:
        """Give the messages of one severity."""
        return {message for found, message in self.issues if found == severity}


@dataclass(frozen=True)
class CrateValidator:
    """The program, with what it would fetch."""

    cache: Path

    def look_at(self, crate: Path) -> Verdict:
        """Validate a crate by the profile that it says it conforms to, recommendations too."""
        report = self.cache.with_name("report.json")
        report.unlink(missing_ok=True)
        program = Path(sys.executable).with_name("rocrate-validator")
        words: list[str | Path] = [
            "--offline",
            "--cache-path",
            self.cache,
            "--requirement-severity",
            "recommended",
        ]
        output: list[str | Path] = [
            "--no-paging",
            "--output-format",
            "json",
            "--output-file",
            report,
        ]
        done = subprocess.run(
            [program, "--no-interactive", "validate", *words, *output, crate],
            capture_output=True,
            text=True,
            check=False,
        )
        assert report.exists(), done.stdout + done.stderr
        told: dict[str, Any] = json.loads(report.read_text())
        found = ((each["severity"], each["message"]) for each in told["issues"])
        return Verdict(told["validation_settings"]["profile_identifier"], frozenset(found))


@contextmanager
def crate_validator(folder: Path) -> Iterator[CrateValidator]:
    """Give the validator, with a cache that holds the context as its makers released it."""
    cache = folder / "cache"
    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", _Released())
        assert session.get(CONTEXT).ok
    yield CrateValidator(cache)


class _Released(HTTPAdapter):
    """Answers with the context of RO-Crate 1.1 that the package `rocrate` ships."""

    def send(  # type: ignore[override]  # the other arguments are for a network
        self, request: PreparedRequest, **others: object
    ) -> Response:
        del others
        body = BytesIO((files("rocrate") / "data" / "ro-crate.jsonld").read_bytes())
        headers = {"Content-Type": "application/ld+json"}
        answer = HTTPResponse(
            body, headers, 200, preload_content=False, request_url=str(request.url)
        )
        built: Response = self.build_response(request, answer)
        return built
