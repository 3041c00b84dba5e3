"""One virtualenv environment: from checked inputs to a lock, and from a lock to a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flowrun.envs import lock as locks
from flowrun.envs.bare import BareEnv
from flowrun.envs.failures import explained
from flowrun.envs.index_settings import settings_digest
from flowrun.envs.inputs import Inputs
from flowrun.envs.interpreters import Interpreter
from flowrun.envs.local_trees import copy_tree, digest_tree
from flowrun.envs.masking import without_credentials
from flowrun.envs.process import CommandFailedError
from flowrun.envs.published import key_of
from flowrun.envs.requirements import (
    RESERVED,
    Requirement,
    lines_of,
    read_requirements,
    refusal_of_reserved_name,
)
from flowrun.envs.workshop import Meanwhile, Workshop
from flowrun.errors import EnvError

_TREES = "./trees/"


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that make environments, and their variables."""

    find_uv: Callable[[], str]
    uv_variables: Mapping[str, str]
    caller_variables: Mapping[str, str]
    memos: Path

    def uv(self, *words: str | Path) -> list[str | Path]:
        """Return the command line of one uv command."""
        return [self.find_uv(), *words]


class VirtualenvRecipe:
    """Locks and builds one environment. For one thread, in one workshop."""

    def __init__(self, inputs: Inputs, interpreter: Interpreter, tools: Tools) -> None:
        self._inputs = inputs
        self._interpreter = interpreter
        self._tools = tools
        self._bare = BareEnv(interpreter, tools.memos, tools.caller_variables)
        self._begun: Meanwhile | None = None
        self._copies: dict[Path, int] = {}
        self.label = inputs.description.label
        self.notes = inputs.notes
        self.digest = inputs.digest(str(interpreter), settings_digest(tools.uv_variables))

    def lock(self, shop: Workshop) -> str:
        """Resolve for this interpreter and machine, or take what a uv.lock says."""
        env = f"environment of {self.label}"
        try:
            if self._inputs.uv_lock is not None:
                packages, local = self._exported(shop)
            elif self._inputs.requirements.wanted:
                packages, local = self._compiled(shop)
            else:
                packages, local = [], []
        except CommandFailedError as error:
            raise explained(error, env, self._inputs.requirements.wanted) from error
        for pin in packages:
            if locks.name_of(pin) == RESERVED and " @ " not in pin:
                raise EnvError(f"{env}: {refusal_of_reserved_name()}")
        digests = [(text, digest_tree(self._inputs.directory / _path(text))) for text in local]
        return locks.render(str(self._interpreter), packages, digests)

    def build(self, lock: str, shop: Workshop) -> None:
        """Put a bare environment in its place, and let uv install exactly the lock."""
        try:
            self._finish_bare(shop)
            pins = [self._with_credentials(pin) for pin in locks.pins(lock)]
            hashed = [pin for pin in pins if " --hash=" in pin]
            trees = [self._copied(text, shop) for text in locks.trees(lock)]
            self._install(hashed, shop, "--require-hashes")
            self._install([pin for pin in pins if pin not in hashed], shop)
            self._install(trees, shop)
        except CommandFailedError as error:
            env = f"env {key_of(lock)[:8]} ({self.label})"
            raise explained(error, env, self._inputs.requirements.wanted) from error

    def _compiled(self, shop: Workshop) -> tuple[list[str], list[str]]:
        """Return pins and local trees that uv chooses for the requirements."""
        wanted = self._inputs.requirements.wanted
        shop.progress(f"resolving {self.label} ({_count(len(wanted), 'requirement')})")
        local = {self._copied(str(each), shop): each for each in wanted if each.path}
        lines = [each.text for each in wanted if not each.path]
        lines += [copy + _marker(each) for copy, each in local.items()]
        self._begin_bare(shop)
        constraints = [each.text for each in self._inputs.requirements.constraints]
        (shop.folder / "constraints.txt").write_text(_joined(constraints), encoding="utf-8")
        shop.run(
            self._tools.uv(
                *("pip", "compile", "--quiet", "--generate-hashes", "--no-header"),
                *("--no-annotate", "--no-python-downloads", "--python"),
                *(self._interpreter.executable, "--constraints", "constraints.txt"),
                *("--output-file", "lock.txt", self._written("in.txt", lines, shop)),
            ),
            self._tools.uv_variables,
            what="uv pip compile",
        )
        found = locks.logical_lines((shop.folder / "lock.txt").read_text(encoding="utf-8"))
        asked = {each.name: each.hashes for each in wanted if each.hashes}
        packages = [
            locks.with_hashes(without_credentials(pin), asked)
            for pin in found
            if not pin.startswith(_TREES)
        ]
        chosen = {pin.split(" ", 1)[0] for pin in found if pin.startswith(_TREES)}
        return packages, [_written_tree(each) for copy, each in local.items() if copy in chosen]

    def _exported(self, shop: Workshop) -> tuple[list[str], list[str]]:
        """Return pins and local trees of the project's uv.lock, with the groups uv takes too."""
        shop.progress(f"reading {self.label}")
        self._begin_bare(shop)
        shop.run(
            self._tools.uv(
                *("export", "--quiet", "--frozen", "--no-header", "--no-annotate"),
                *("--no-python-downloads", "--python", self._interpreter.executable),
                *("--project", self._inputs.directory, "--output-file", "export.txt"),
            ),
            self._tools.uv_variables,
            what="uv export",
        )
        text = (shop.folder / "export.txt").read_text(encoding="utf-8")
        directory = self._inputs.directory
        found = read_requirements(lines_of(text, self.label), directory, directory).wanted
        packages = [
            " ".join([each.text, *(f"--hash={value}" for value in each.hashes)])
            for each in found
            if not each.path
        ]
        return packages, [_written_tree(each) for each in found if each.path]

    def _begin_bare(self, shop: Workshop) -> None:
        """Make the bare environment while uv resolves, and acquaint uv with it.

        uv asks every interpreter that it does not know about itself, which takes longer than to
        install a small project from its cache.
        """

        def work() -> None:
            self._bare.place(shop)
            command = self._tools.uv("python", "find", _python(shop))
            with contextlib.suppress(CommandFailedError):
                shop.run(command, self._tools.uv_variables, what="uv python find")

        self._begun = shop.meanwhile(work)

    def _finish_bare(self, shop: Workshop) -> None:
        if self._begun is None:
            self._bare.place(shop)
        else:
            self._begun.wait()
            self._begun = None

    def _install(self, lines: list[str], shop: Workshop, *flags: str) -> None:
        if not lines:
            return
        command = self._tools.uv(
            *("pip", "install", "--no-deps", "--no-python-downloads", *flags),
            *("--python", _python(shop)),
            *("--requirements", self._written("install.txt", lines, shop)),
        )
        if "--require-hashes" in flags:
            # What uv has in its cache needs no question to the index, which would take longer than
            # all the rest. It installs nothing if something is missing.
            with contextlib.suppress(CommandFailedError):
                shop.run([*command, "--offline"], self._tools.uv_variables, what="uv pip install")
                return
        shop.run(command, self._tools.uv_variables, what="uv pip install")

    def _written(self, name: str, lines: list[str], shop: Workshop) -> str:
        """Write requirement lines for uv, with the project's options on where packages are."""
        # The nearest uv.toml decides; an empty one keeps those of folders further up out.
        (shop.folder / "uv.toml").touch()
        options = [str(option) for option in self._inputs.requirements.options]
        (shop.folder / name).write_text(_joined([*options, *lines]), encoding="utf-8")
        return name

    def _copied(self, text: str, shop: Workshop) -> str:
        """Copy a local tree into the workshop, once; return the copy's requirement with extras."""
        source = self._inputs.directory / _path(text)
        number = self._copies.get(source)
        if number is None:
            number = self._copies[source] = len(self._copies)
            copy_tree(source, shop.folder / "trees" / str(number))
        inside = "" if source.is_dir() else f"/{source.name}"
        return f"{_TREES}{number}{inside}{_extras(text)}"

    def _with_credentials(self, pin: str) -> str:
        """Put back the credentials that the project writes in an address, which no lock has."""
        for each in self._inputs.requirements.wanted:
            for word in each.text.split():
                if "://" in word:
                    pin = pin.replace(without_credentials(word), word)
        return pin


def _python(shop: Workshop) -> Path:
    return shop.prefix / "bin/python"


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def _path(text: str) -> str:
    """Return the path of a local requirement, without extras and marker."""
    return text.split(";")[0].split("[")[0].strip().removeprefix("file:")


def _extras(text: str) -> str:
    bare = text.split(";")[0].strip()
    return bare[bare.index("[") :] if "[" in bare else ""


def _marker(each: Requirement) -> str:
    _, found, marker = each.text.partition(";")
    return f" ; {marker.strip()}" if found else ""


def _written_tree(each: Requirement) -> str:
    return f"{each.written_path}{_extras(each.text)}"
