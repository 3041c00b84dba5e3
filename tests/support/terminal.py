"""flowrun on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass

from tests.support.space import Space


@dataclass(frozen=True)
class Shown:
    """What came of a command on a terminal."""

    code: int
    text: str
    """All that the terminal got, with what drives it."""

    @property
    def words(self) -> str:
        """The text without what drives the terminal."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)


def on_terminal(space: Space, *words: str, answer: str = "", **variables: str) -> Shown:
    """Run flowrun with a terminal as its standard output.

    Args:
        space: where.
        words: the command line.
        answer: what is typed; '' leaves standard input empty.
        variables: more of its environment.
    """
    ours, theirs = os.openpty()
    os.write(ours, answer.encode())
    process = subprocess.Popen(
        [sys.executable, "-m", "flowrun", *words],
        cwd=space.path,
        env={**space.environment(), "TERM": "xterm", **variables},
        stdin=theirs if answer else subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.STDOUT,
    )
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            data = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other end is closed
            break
        shown += data
    os.close(ours)
    return Shown(process.wait(30), shown.decode())
