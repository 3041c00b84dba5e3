"""Real git repositories for tests: made in a few lines.

    repository = Repository.make(tmp_path / "wine", {"MLproject": "name: wine"})
    first = repository.commit({"train.py": "print(1)"})
    repository.tag("v1.0")
    bare = repository.bare(tmp_path / "wine.git")

Authors and dates are fixed, so equal files give equal commits.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GIT = shutil.which("git") or "/usr/bin/git"

VARIABLES: Mapping[str, str] = {
    "PATH": f"{Path(GIT).parent}:/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
"""A caller's environment that knows nothing of the machine's git settings or home folder."""

_AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2024-01-01T12:00:00+0000",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2024-01-01T12:00:00+0000",
}


@dataclass(frozen=True)
class Repository:
    """A git repository on disk, with or without a work tree."""

    path: Path

    @classmethod
    def make(cls, path: Path, files: Mapping[str, str | bytes] | None = None) -> Repository:
        """Make a repository with a work tree on branch `main`; with files, also a first commit."""
        path.mkdir(parents=True, exist_ok=True)
        repository = cls(path)
        repository.git("init", "--quiet", "--initial-branch=main", "--template=")
        if files:
            repository.commit(files, "first")
        return repository

    @property
    def url(self) -> str:
        """The `file://` URL."""
        return self.path.as_uri()

    @property
    def head(self) -> str:
        """The commit that is checked out, 40 hex digits."""
        return self.commit_of("HEAD")

    def git(self, *arguments: str, stdin: str | None = None) -> str:
        """Run git in this repository and give back what it prints, without the last newline."""
        done = subprocess.run(
            [GIT, "-c", "protocol.file.allow=always", *arguments],
            cwd=self.path,
            env={**VARIABLES, **_AUTHOR},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.rstrip("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files (folders are made), without committing them."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes], message: str = "more") -> str:
        """Write the files, add everything that is there, commit, and give back the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    def branch(self, name: str) -> None:
        """Make a branch here and switch to it."""
        self.git("switch", "--quiet", "--create", name)

    def tag(self, name: str, message: str | None = None) -> None:
        """Tag the commit that is checked out; with a message the tag is an annotated one."""
        self.git("tag", *(("--annotate", "--message", message) if message else ()), name)

    def commit_of(self, revision: str) -> str:
        """The commit that a branch, tag or expression of git's means, 40 hex digits."""
        return self.git("rev-parse", "--verify", f"{revision}^{{commit}}")

    def tree_of(self, revision: str = "HEAD") -> str:
        """The tree of a revision, 40 hex digits."""
        return self.git("rev-parse", "--verify", f"{revision}^{{tree}}")

    def bare(self, path: Path) -> Repository:
        """Make a bare clone of this repository, with all of its refs."""
        self.git("clone", "--quiet", "--mirror", "--template=", "--", str(self.path), str(path))
        return Repository(path)

    def add_submodule(self, url: str, path: str) -> None:
        """Add a submodule and commit it."""
        self.git("submodule", "--quiet", "add", "--", url, path)
        self.commit({}, f"add submodule {path}")
