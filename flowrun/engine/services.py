"""What one run of flowrun uses: stores, environments, sources, an executor."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from flowrun.envs.store import EnvStore
from flowrun.errors import StoreError
from flowrun.executors.base import Executor, OnLine
from flowrun.registry.store import RegistryStore
from flowrun.sources.cache import SourceCache
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.store import TrackingStore
from flowrun.valueclass import valueclass


class Endpoint(Protocol):
    """Where a step's own code reaches the stores: a server that speaks MLflow's protocol."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What a step's process is told: where the server is, and how to be let in."""

    def variables_at(self, address: str) -> Mapping[str, str]:
        """What a container is told that reaches this machine at another address than it itself."""

    @property
    def secrets(self) -> Sequence[str]:
        """Which of these must not be seen in what a step prints."""

    @property
    def was_used(self) -> bool:
        """Whether anything can have connected yet."""


@valueclass
class ServerEndpoint:
    """The endpoint of stores that are behind a server: steps speak to it themselves."""

    url: str
    credentials: Mapping[str, str] = field(repr=False)
    was_used: bool = True

    @property
    def variables(self) -> Mapping[str, str]:
        """Its address and credentials."""
        return {"MLFLOW_TRACKING_URI": self.url, **self.credentials}

    def variables_at(self, address: str) -> Mapping[str, str]:
        """The same: the server's address is what its name says."""
        del address
        return self.variables

    @property
    def secrets(self) -> Sequence[str]:
        """A token or password."""
        return [v for k, v in self.credentials.items() if k != "MLFLOW_TRACKING_USERNAME"]


@valueclass
class Home:
    """flowrun's folder: `$FLOWRUN_HOME`, by default in the user's data directory."""

    root: Path

    def make(self) -> None:
        """Make it if it is not there, for its owner only.

        Raises:
            StoreError: it can't be made, or belongs to somebody else.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = self.root.stat().st_uid
        except OSError as error:
            raise StoreError(
                f"flowrun's home {self.root} can't be used: {error.strerror}",
                "Set FLOWRUN_HOME to a folder that you can write.",
            ) from error
        if os.geteuid() not in (0, owner):
            raise StoreError(
                f"flowrun's home {self.root} belongs to another user",
                "Set FLOWRUN_HOME to a folder of your own.",
            )

    @property
    def database_uri(self) -> str:
        """The embedded default store."""
        return f"sqlite:///{self.root / 'flowrun.db'}"

    @property
    def artifacts(self) -> Path:
        """Where the embedded default keeps artifacts."""
        return self.root / "artifacts"

    @property
    def sources(self) -> Path:
        """The cache of repositories and trees."""
        return self.root / "cache" / "sources"

    @property
    def envs(self) -> Path:
        """Built environments."""
        return self.root / "cache" / "envs"

    @property
    def digests(self) -> Path:
        """Digests of files that have not changed since."""
        return self.root / "cache" / "digests.db"

    @property
    def steps(self) -> Path:
        """Locks of steps that run."""
        return self.root / "cache" / "steps"

    @property
    def client(self) -> Path:
        """Copies of the light client for the steps' Python path."""
        return self.root / "cache" / "client"

    @property
    def work(self) -> Path:
        """Working directories of running steps."""
        return self.root / "work"

    @property
    def verifications(self) -> Path:
        """Environments of running verifications, each with a folder of its own."""
        return self.root / "verify"

    @property
    def served(self) -> Path:
        """The files of models that are served or predict, each with a folder of its own."""
        return self.root / "served"

    @property
    def live(self) -> Path:
        """Locks of running flowruns."""
        return self.root / "live"


@valueclass
class Services:
    """Everything that carrying out a plan needs, made by `api.py`."""

    home: Home
    tracking_uri: str
    tracking: TrackingStore
    registry: RegistryStore
    open_artifacts: Callable[[str], Artifacts]
    """Artifact URI to its files."""
    make_executor: Callable[[OnLine], Executor]
    envs: EnvStore
    sources: SourceCache
    endpoint: Endpoint
    variables: Mapping[str, str]
    """The caller's environment variables."""
    cwd: Path
    """The caller's directory: a relative path on the command line starts here."""
    user: str
    now: Callable[[], int]
    """Milliseconds since the epoch."""
    new_id: Callable[[], str]
    """32 random hex digits."""
