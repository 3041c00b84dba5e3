"""The packages of a rattler lock file. Imported on use only."""

from __future__ import annotations

from pathlib import Path

import rattler
from rattler.repo_data import RepoDataRecord

from flowrun.envs.conda.session import ENVIRONMENT


def records_of(lock: str, scratch: Path) -> list[RepoDataRecord]:
    """Return the packages of a lock for the one platform that it is for.

    Args:
        scratch: an existing folder that is not kept.
    """
    file = scratch / "given.lock"
    file.write_text(lock, encoding="utf-8")
    found = rattler.LockFile.from_path(file)
    environment = found.environment(ENVIRONMENT)
    if environment is None:
        return []
    return environment.conda_repodata_records_for_platform(found.platforms()[0]) or []
