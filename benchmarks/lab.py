"""Where benchmarks take place: a folder that goes away, and each tool in an environment of its own.

The peers' environments are made once, in `benchmarks/.peers` or where `--peers` says. flowrun's is
made anew from this checkout's wheel each time, so that what is measured is what a user installs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from uv import find_uv_bin

CHECKOUT = Path(__file__).resolve().parents[1]
PEERS = CHECKOUT / "benchmarks" / ".peers"
FLOWRUN = "flowrun"

# The interpreter below this one's own environment: the same for all tools.
PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())

# What a peer's stores need beside it, which pip does not install with it.
DRIVERS = {"mlflow": ("psycopg[binary]",)}

# No tool may spend its time on telling its makers about us, and commits need an author.
VARIABLES = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a comparison is called with."""

    rounds: int
    """How often each command is measured."""
    peers: Path
    """Where the peers' environments are kept."""


def parse_options(description: str | None, *, rounds: int) -> Options:
    """Read the command line of a comparison, which measures `rounds` times unless told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default: {rounds}")
    parser.add_argument("--peers", type=Path, default=PEERS, help="where to keep the other tools")
    given = parser.parse_args()
    return Options(rounds=given.rounds, peers=given.peers.absolute())


@dataclass(frozen=True, slots=True)
class Tool:
    """A command line tool, installed in an environment of its own."""

    name: str
    version: str
    prefix: Path
    variables: Mapping[str, str]
    """The complete environment variables of its commands: with a home folder of its own, which
    keeps what the tool caches from round to round."""

    def argv(self, *words: str) -> list[str]:
        """Give the argument list that calls the tool."""
        return [str(self.prefix / "bin" / self.name), *words]

    @property
    def home(self) -> Path:
        """Its home folder."""
        return Path(self.variables["HOME"])


@dataclass(frozen=True, slots=True)
class Lab:
    """A folder for everything a comparison writes, and the tools."""

    folder: Path
    rounds: int
    tools: Mapping[str, Tool]


@contextmanager
def open_lab(options: Options, *peers: str) -> Iterator[Lab]:
    """Make a lab with flowrun and the peers named; its folder goes away in the end."""
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as name:
        folder = Path(name)
        tools = {FLOWRUN: _install_flowrun(folder)}
        for peer in peers:
            tools[peer] = _install_peer(peer, options.peers, folder)
        yield Lab(folder, options.rounds, tools)


def run_quietly(argv: Sequence[str], directory: Path, variables: Mapping[str, str]) -> str:
    """Run a command that is not measured and give its output; show its errors if it fails."""
    ended = subprocess.run(
        argv, cwd=directory, env=variables, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"{' '.join(argv)}\nexited with {ended.returncode}:\n{ended.stderr[-4000:]}")
    return ended.stdout


def _install_flowrun(folder: Path) -> Tool:
    """Build the wheel of this checkout and install it."""
    _uv("build", "--wheel", "--out-dir", str(folder / "wheel"), str(CHECKOUT))
    (wheel,) = (folder / "wheel").glob("*.whl")
    _fill(folder / FLOWRUN, f"{wheel}[postgres]")
    return _tool(FLOWRUN, folder / FLOWRUN, folder)


def _install_peer(name: str, peers: Path, folder: Path) -> Tool:
    """Take the newest release of a peer, or the one that is there."""
    prefix = peers / name
    is_complete = prefix / ".complete"
    if not is_complete.exists():
        print(f"installing {name} into {prefix}", file=sys.stderr)
        _fill(prefix, name, *DRIVERS.get(name, ()))
        is_complete.touch()
    return _tool(name, prefix, folder)


def _fill(prefix: Path, *requirements: str) -> None:
    _uv("venv", "--clear", "--python", PYTHON, str(prefix))
    # Bytecode is compiled as pip does, so that no first run pays for it.
    _uv("pip", "install", "--compile-bytecode", "--python", str(prefix), *requirements)


def _uv(*words: str) -> None:
    run_quietly([find_uv_bin(), *words], CHECKOUT, os.environ)


def _tool(name: str, prefix: Path, folder: Path) -> Tool:
    home = folder / "homes" / name
    home.mkdir(parents=True)
    path = f"{prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    variables = VARIABLES | {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8"}
    (site,) = prefix.glob("lib/python*/site-packages")
    (found,) = metadata.distributions(name=name, path=[str(site)])
    return Tool(name, found.version, prefix, variables)
