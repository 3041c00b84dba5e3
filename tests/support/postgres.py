"""A real PostgreSQL server for the tests of one process, and a new store in it for each test.

with postgres_server(folder) as server:
    uri = server.new_store()
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from flowrun.tracking.sql.postgres import open_postgres

USER = "flowrun"
_PORT = 5432  # of a socket in a folder of its own: nobody listens on TCP
_TEMPLATE = "empty_store"
# Each test begins with what a crash of the machine would leave: nothing. So no commit waits for
# the disk; a killed server process loses nothing by it.
_QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass
class PostgresServer:
    """A server that listens on a socket in its folder."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def uri(self, database: str, user: str = USER) -> str:
        """Give the URI of a database, with the socket's folder in place of a host."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={_PORT}"

    def new_database(self, template: str = "template0") -> str:
        """Make a database and give its URI."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.uri(name)

    def new_store(self) -> str:
        """Make a database with an empty store in it and give its URI: by copying files."""
        return self.new_database(_TEMPLATE)

    def program(self, name: str) -> str:
        """Give the path of a program that belongs to the server."""
        return _program(name)

    def name_of(self, uri: str) -> str:
        """Give the name of a database of this server."""
        return urlsplit(uri).path.strip("/")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the server's owner; give its rows."""
        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def asking_for_passwords(self) -> Iterator[None]:
        """Let all users but the owner in by password only, for a while."""
        rules = self.folder / "data" / "pg_hba.conf"
        before = rules.read_text()
        try:
            rules.write_text(f"local all {USER} trust\nlocal all all scram-sha-256\n")
            self.execute("SELECT pg_reload_conf()")
            yield
        finally:
            rules.write_text(before)
            self.execute("SELECT pg_reload_conf()")

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder)}
        settings |= _QUICK | self.settings
        options = " ".join(f"-c {name}={value or repr('')}" for name, value in settings.items())
        self._pg_ctl("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """End it: `fast` breaks all connections off, `immediate` is like a crash."""
        self._pg_ctl("stop", "-m", mode)

    def _pg_ctl(self, action: str, *options: str) -> None:
        data = str(self.folder / "data")
        # Into a file: the server inherits its output, and a pipe would stay open.
        with (self.folder / "pg_ctl").open("w") as output:
            subprocess.run(
                [*_as_postgres(), _program("pg_ctl"), "-D", data, "-s", "-w", *options, action],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )


@contextmanager
def postgres_server(**settings: str) -> Iterator[PostgresServer]:
    """Start a new server with these settings; end and remove it afterwards."""
    # Not pytest's own folders: their path is too long for a socket, and closed to other users.
    with tempfile.TemporaryDirectory(prefix="flowrun-pg-", dir="/tmp") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        subprocess.run(
            [
                *(*_as_postgres(), _program("initdb"), "-D", str(folder / "data")),
                *("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        server = PostgresServer(folder, settings)
        server.start()
        try:
            server.execute(f"CREATE DATABASE {_TEMPLATE}")
            open_postgres(server.uri(_TEMPLATE)).close()
            yield server
        finally:
            server.stop("immediate")


def _program(name: str) -> str:
    """Give a program of PostgreSQL's: of the newest version in Debian's place, or on PATH."""
    places = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(places, key=lambda path: float(path.parts[4]), default=None)
    found = str(newest) if newest else shutil.which(name)
    if found is None:
        pytest.skip(f"needs PostgreSQL ({name})")
    return found


def _as_postgres() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
