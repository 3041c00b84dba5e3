"""The released RO-Crate validator, without a network: it knows the one context that crates name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uv

ROOT = Path(__file__).parents[2]

# What the package `rocrate` ships of RO-Crate 1.1 is put where the validator keeps what it fetched.
_REMEMBER_THE_CONTEXT = """\
import sys
from importlib.resources import files
from io import BytesIO
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

class Released(HTTPAdapter):
    def send(self, request, **others):
        body = BytesIO((files("rocrate") / "data" / "ro-crate.jsonld").read_bytes())
        headers = {"Content-Type": "application/ld+json"}
        answer = HTTPResponse(body, headers, 200, preload_content=False, request_url=request.url)
        return self.build_response(request, answer)

with CachedSession(sys.argv[1], backend="sqlite", expire_after=-1) as session:
    session.mount("https://", Released())
    assert session.get("https://w3id.org/ro/crate/1.1/context").ok
"""


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

    program: Path
    cache: Path

    def look_at(self, crate: Path) -> Verdict:
        """Validate a crate by the profile that it says it conforms to, recommendations too."""
        report = self.cache.with_name("report.json")
        report.unlink(missing_ok=True)
        words: list[str | Path] = ["--offline", "--cache-path", self.cache, "--no-paging"]
        words += ["--requirement-severity", "recommended"]
        words += ["--output-format", "json", "--output-file", report]
        done = subprocess.run(
            [self.program, "--no-interactive", "validate", *words, crate],
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
    """Install the validator in an environment of its own."""
    environment, cache = folder / "environment", folder / "cache"
    python = environment / "bin" / "python"
    program = uv.find_uv_bin()
    group = f"{ROOT / 'pyproject.toml'}:crates"
    for words in (
        (program, "venv", "--quiet", "--python", sys.executable, environment),
        (program, "pip", "install", "--quiet", "--python", python, "--group", group),
        (python, "-c", _REMEMBER_THE_CONTEXT, cache),
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    yield CrateValidator(environment / "bin" / "rocrate-validator", cache)
