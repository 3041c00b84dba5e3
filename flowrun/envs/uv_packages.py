"""Resolves and installs the requirements of one environment with uv, whoever makes its Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from flowrun.envs import lock as locks
from flowrun.envs.base import Wish
from flowrun.envs.failures import explained
from flowrun.envs.given_lock import place_of
from flowrun.envs.inputs import Inputs
from flowrun.envs.local_trees import copy_tree, digest_tree
from flowrun.envs.masking import without_credentials
from flowrun.envs.platforms import platform_of
from flowrun.envs.process import CommandFailedError
from flowrun.envs.requirements import (
    RESERVED,
    Requirement,
    lines_of,
    read_requirements,
    refusal_of_reserved_name,
)
from flowrun.envs.tools import Tools
from flowrun.envs.workshop import Workshop
from flowrun.errors import EnvError
from flowrun.valueclass import valueclass

_TREES = "./trees/"


@valueclass
class Resolved:
    """Exact packages: what `lock.render` takes."""

    packages: list[str]
    """One logical requirement line each, with hashes."""
    trees: list[tuple[str, str]]
    """Path with extras, and digest, of each local tree."""


class UvPackages:
    """The part of an environment that uv brings. For one thread, in one workshop."""

    def __init__(self, inputs: Inputs, tools: Tools) -> None:
        self._inputs = inputs
        self._tools = tools
        self._copies: dict[Path, int] = {}

    def resolve(
        self,
        shop: Workshop,
        python: Path | str,
        env: str,
        wish: Wish,
        *,
        excluded: Sequence[str] = (),
    ) -> Resolved:
        """Resolve for a Python, or take what a uv.lock says.

        Args:
            python: an interpreter of this machine, or a version.
            env: the environment as people know it, for messages.
            excluded: normalised names that are there already, whatever asks for them.

        Raises:
            EnvError: no such package or version, a conflict, no network.
        """
        try:
            if self._inputs.uv_lock is not None:
                packages, local = self._exported(shop, python)
            elif self._inputs.requirements.wanted:
                packages, local = self._compiled(shop, python, excluded, wish)
            else:
                packages, local = [], []
        except CommandFailedError as error:
            raise self._explained(error, env) from error
        for pin in packages:
            if locks.name_of(pin) == RESERVED and " @ " not in pin:
                raise EnvError(f"{env}: {refusal_of_reserved_name()}")
        digests = [(text, digest_tree(self._inputs.directory / _path(text))) for text in local]
        return Resolved(packages, digests)

    def install(self, lock: str, shop: Workshop, python: Path, env: str) -> None:
        """Install exactly what a lock (`lock.render`) says, and nothing it does not.

        Raises:
            EnvError: a file is gone, has another hash, or does not build.
        """
        try:
            pins = [self._with_credentials(pin) for pin in locks.pins(lock)]
            hashed = [pin for pin in pins if " --hash=" in pin]
            trees = [self._checked(*tree, env, shop) for tree in locks.trees(lock).items()]
            self._install(hashed, shop, python, "--require-hashes")
            self._install([pin for pin in pins if pin not in hashed], shop, python)
            self._install(trees, shop, python)
        except CommandFailedError as error:
            raise self._explained(error, env) from error

    def _explained(self, error: CommandFailedError, env: str) -> EnvError:
        return explained(error, env, self._inputs.requirements.wanted)

    def _compiled(
        self, shop: Workshop, python: Path | str, excluded: Sequence[str], wish: Wish
    ) -> tuple[list[str], list[str]]:
        """Return pins and local trees that uv chooses for the requirements."""
        kept = {locks.name_of(pin): pin for pin in locks.pins(wish.kept)}
        # uv takes what is in its output file already as what is liked best.
        (shop.folder / "lock.txt").write_text(_joined(kept.values()), encoding="utf-8")
        wanted = [each for each in self._inputs.requirements.wanted if each.name not in excluded]
        local = {self._copied(str(each), shop): each for each in wanted if each.path}
        lines = [
            _kept_commit(each, "" if each.name in wish.upgraded else kept.get(each.name, ""))
            for each in wanted
            if not each.path
        ]
        lines += [copy + _marker(each) for copy, each in local.items()]
        constraints = [each.text for each in self._inputs.requirements.constraints]
        (shop.folder / "constraints.txt").write_text(_joined(constraints), encoding="utf-8")
        (shop.folder / "excluded.txt").write_text(_joined(excluded), encoding="utf-8")
        shop.run(
            self._tools.uv(
                *("pip", "compile", "--quiet", "--generate-hashes", "--no-header"),
                *("--no-annotate", "--no-python-downloads", *_for(python)),
                *("--constraints", "constraints.txt"),
                *(("--excludes", "excluded.txt") if excluded else ()),
                *_flags(wish),
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

    def _exported(self, shop: Workshop, python: Path | str) -> tuple[list[str], list[str]]:
        """Return pins and local trees of the project's uv.lock, with the groups uv takes too."""
        shop.run(
            self._tools.uv(
                *("export", "--quiet", "--frozen", "--no-header", "--no-annotate"),
                *("--no-python-downloads", "--python", python),
                *("--project", self._inputs.directory, "--output-file", "export.txt"),
            ),
            self._tools.uv_variables,
            what="uv export",
        )
        text = (shop.folder / "export.txt").read_text(encoding="utf-8")
        directory = self._inputs.directory
        found = read_requirements(
            lines_of(text, self._inputs.description.label), directory, directory
        ).wanted
        packages = [
            " ".join([each.text, *(f"--hash={value}" for value in each.hashes)])
            for each in found
            if not each.path
        ]
        return packages, [_written_tree(each) for each in found if each.path]

    def _install(self, lines: list[str], shop: Workshop, python: Path, *flags: str) -> None:
        if not lines:
            return
        command = self._tools.uv(
            *("pip", "install", "--no-deps", "--no-python-downloads", *flags),
            *("--python", python),
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

    def _checked(self, text: str, digest: str, env: str, shop: Workshop) -> str:
        """Copy a local tree as a lock has it, which may have been given."""
        if digest_tree(self._inputs.directory / _path(text)) != digest:
            raise EnvError(
                f"{env}: the files of '{text}' are not those that the lock was made for "
                f"(sha256 {digest[:8]}...)."
            )
        return self._copied(text, shop)

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


def _for(python: Path | str) -> tuple[str | Path, ...]:
    return ("--python-version" if isinstance(python, str) else "--python", python)


def _flags(wish: Wish) -> Iterator[str]:
    if wish.platform is not None:
        yield from ("--python-platform", platform_of(wish.platform).uv)
    for name in sorted(wish.upgraded):
        yield from ("--upgrade-package", name)
    if not wish.may_build:
        yield "--no-build"


def _kept_commit(each: Requirement, kept: str) -> str:
    """Return a requirement, from git with the commit that it had earlier: uv would look again."""
    _, _, asked = each.text.partition("@")
    _, _, had = kept.partition("@")
    if asked.strip().startswith("git+") and place_of(asked.strip()) == place_of(had.strip()):
        return kept
    return each.text


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


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
