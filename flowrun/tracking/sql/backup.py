"""Copies of a store, made at one moment while others use it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from flowrun.errors import StoreError, UsageError
from flowrun.tracking.sql.postgres_uri import password_of, without_password

_DEBIAN = Path("/usr/lib/postgresql")


def copy_sqlite(path: Path, into: Path) -> None:
    """Copy a SQLite file.

    Raises:
        UsageError: there is a file already. StoreError: the folder can't be written to.
        sqlite3.Error: the copy can't be made.
    """
    with _new_file(into), contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(into),))


def dump_postgres(name: str, uri: str, into: Path, variables: Mapping[str, str]) -> None:
    """Copy a PostgreSQL database with `pg_dump`, in its own format.

    Args:
        name: what messages call the store.
        uri: of the database.
        into: a new file.
        variables: the environment of `pg_dump`.

    Raises:
        UsageError: there is a file already. StoreError: `pg_dump` is absent, or fails.
    """
    program = _pg_dump(variables)
    if program is None:
        raise StoreError(
            f"store {name}: pg_dump, which copies PostgreSQL's databases, is not installed",
            "Install PostgreSQL's client programs, or make the backup on the database's server.",
        )
    environment = dict(variables)
    if (password := password_of(uri)) is not None:
        # Not on the command line, where everybody on the machine could read it.
        environment["PGPASSWORD"] = password
    with _new_file(into):
        done = subprocess.run(
            [program, "--format=custom", f"--file={into}", f"--dbname={without_password(uri)}"],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.strip().partition("\n")[0].removeprefix("pg_dump: error: ")
            raise StoreError(f"store {name}: pg_dump failed: {reason}")


def _pg_dump(variables: Mapping[str, str]) -> str | None:
    """Find the program: the newest in Debian's place, since an older one refuses newer servers."""
    found = sorted(_DEBIAN.glob("*/bin/pg_dump"), key=lambda path: float(path.parts[-3]))
    return str(found[-1]) if found else shutil.which("pg_dump", path=variables.get("PATH"))


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """Make a file that only its owner reads, and remove it on an error."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise UsageError(f"{path} is there already", "Give another name for the copy.") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
