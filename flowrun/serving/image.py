"""Images that serve a model: what a build takes, written into a folder, and the build itself."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import flowrun
from flowrun.envs.base import EnvRequest, never
from flowrun.envs.docker_build import BuildContext
from flowrun.envs.docker_engine import Engine
from flowrun.envs.docker_events import LongWork
from flowrun.envs.lock import python_of
from flowrun.envs.manager import VIRTUALENV
from flowrun.envs.masking import mask
from flowrun.envs.process import LAST_LINES
from flowrun.errors import EnvError, UnsupportedError, UsageError
from flowrun.serving.fetch import fetch_model
from flowrun.serving.prepare import Preparing, environment_request
from flowrun.spec.project import EnvKind, EnvSpec
from flowrun.version import __version__

SERVER_REQUIREMENTS = ("httptools>=0.6", "jinja2>=3.1.6", "uvicorn>=0.30")
"""What the server takes of flowrun's own requirements."""
_OLDEST = (3, 11)
_REFERENCE = re.compile(r"[a-z0-9][\w./:@-]{0,254}")
_TREES = re.compile(r"^\S+  # sha256:", re.MULTILINE)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "cli", "importing", "migrations")


@contextmanager
def temporary_context(
    uri: str, base_image: str | None, beside: tuple[str, ...], using: Preparing, templates: Path
) -> Iterator[Path]:
    """Give `write_context`'s folder, which goes away at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="flowrun-image-") as name:
        folder = Path(name) / "context"
        write_context(uri, folder, base_image, beside, using, templates)
        yield folder


def write_context(
    uri: str,
    folder: Path,
    base_image: str | None,
    beside: tuple[str, ...],
    using: Preparing,
    templates: Path,
) -> None:
    """Write all that an image takes into a new folder: Dockerfile, locks, model, flowrun.

    Args:
        uri: any of a model's URIs, or a path.
        folder: new or empty.
        base_image: has the model's Python as `python3`, with pip; None: `python:X.Y-slim`.
        beside: packages that scoring needs beside the model's own.
        using: what preparing a model takes.
        templates: flowrun's, of all kinds.

    Raises:
        FlowrunError: there is no such model, its environment can't be resolved, or its Python is
            older than flowrun's own oldest.
    """
    if base_image is not None and not _REFERENCE.fullmatch(base_image):
        raise UsageError(f"--base-image '{base_image}' names no image")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"'{folder}' is not empty", "Give a new folder.")
    found = fetch_model(uri, folder, using.tracking_uri, using.public_key)
    with tempfile.TemporaryDirectory(prefix="flowrun-image-") as name:
        work = Path(name)
        request = environment_request(found.folder, work / "model", VIRTUALENV, beside)
        model_lock = _resolved(request, using)
        python = _minor_version(python_of(model_lock))
        (work / "server").mkdir()
        server_lock = _resolved(_server_request(work / "server", python), using)
    (folder / "model.lock").write_text(model_lock, encoding="utf-8")
    (folder / "server.lock").write_text(server_lock, encoding="utf-8")
    package = Path(flowrun.__file__).parent
    shutil.copytree(package, folder / "flowrun", ignore=_LEFT_OUT)
    shutil.copytree(
        templates / "serving", folder / "flowrun" / "templates" / "serving", dirs_exist_ok=True
    )
    text = _environment(templates / "serving").get_template("Dockerfile.j2")
    base = base_image or f"python:{python}-slim"
    written = text.render(base_image=base, version=__version__)
    (folder / "Dockerfile").write_text(written + "\n", encoding="utf-8")


def build_image(context: Path, name: str, engine: Engine, tell: Callable[[str], None]) -> None:
    """Build an image from a folder that `write_context` wrote.

    Raises:
        UsageError: the name is none. EnvError: the build fails; has its last lines.
    """
    if not _REFERENCE.fullmatch(name):
        raise UsageError(f"--name '{name}' is no name of an image", "Such as wine:1.")
    files = sorted(str(path.relative_to(context)) for path in context.rglob("*"))
    packed = BuildContext(context, tuple(files), "Dockerfile", None, (), None, None).tar()
    tail: deque[str] = deque(maxlen=LAST_LINES)
    with packed:
        work = LongWork(
            lambda: engine.api.build(
                fileobj=packed, custom_context=True, tag=name, rm=True, forcerm=True, decode=True
            ),
            f"building image {name}",
            never,
        )
        try:
            for event in work.until_end(f"image {name} can't be built"):
                lines = [x for x in mask(str(event.get("stream", ""))).splitlines() if x.strip()]
                tail += lines
                for line in lines:
                    if line.startswith("Step "):
                        tell(line)
        except EnvError as error:
            raise EnvError("\n".join([error.message, *tail])) from error


def _server_request(folder: Path, python: str) -> EnvRequest:
    lines = "".join(f"- {line}\n" for line in SERVER_REQUIREMENTS)
    text = f"python: '{python}'\ndependencies:\n{lines}"
    (folder / "python_env.yaml").write_text(text, encoding="utf-8")
    return EnvRequest(EnvSpec(EnvKind.PYTHON, path="python_env.yaml"), folder, asker="the server")


def _resolved(request: EnvRequest, using: Preparing) -> str:
    lock = using.envs.resolve(request, VIRTUALENV, using.tell)
    if _TREES.search(lock):
        raise UnsupportedError(
            "the model's requirements name folders of the machine that it was made on",
            "Have them in an index, or name them as code_paths when the model is saved.",
        )
    return lock


def _minor_version(locked: str) -> str:
    major, minor = (int(part) for part in locked.split(".")[:2])
    if (major, minor) < _OLDEST:
        raise UnsupportedError(
            f"the model is of Python {major}.{minor}, and the server in its image needs "
            f"{_OLDEST[0]}.{_OLDEST[1]} or newer",
            "`flowrun models serve` serves it: there the two have a Python each.",
        )
    return f"{major}.{minor}"


def _environment(folder: Path) -> Environment:
    return Environment(  # noqa: S701 - no page: what is put in has been checked
        loader=FileSystemLoader(folder), undefined=StrictUndefined
    )
