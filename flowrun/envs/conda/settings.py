"""Where this machine gets conda packages: flowrun's variables, conda's, `.condarc` files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from flowrun.envs.conda.file import wrong_channel
from flowrun.envs.masking import mask
from flowrun.envs.project_files import read_text
from flowrun.errors import EnvError, SpecError
from flowrun.settings import is_offline
from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark
from flowrun.spec.yaml_nodes import ListNode, MapNode, Node, ScalarNode, read_yaml
from flowrun.valueclass import valueclass

ALIAS = "https://conda.anaconda.org"
DEFAULTS = "defaults"
_DEFAULT_CHANNELS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")


@valueclass
class CondaSettings:
    """What channel names mean here, and from where they are fetched. May hold credentials."""

    alias: str = ALIAS
    """A name is a folder below it."""
    unnamed: tuple[str, ...] = (DEFAULTS,)
    """The channels of a file that names none."""
    several: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names that stand for several channels, `defaults` among them."""
    located: Mapping[str, str] = field(default_factory=dict)
    """Names that are a folder of another address than `alias`."""
    is_offline: bool = False
    """Packages and channels come from the cache only."""
    mirrors: tuple[tuple[str, str], ...] = ()
    """Addresses, and from where what begins with them is fetched instead."""


def read_settings(variables: Mapping[str, str]) -> CondaSettings:
    """Read the settings.

    Raises:
        EnvError: a variable or a file can't be understood.
    """
    several: dict[str, tuple[str, ...]] = {DEFAULTS: _DEFAULT_CHANNELS}
    located: dict[str, str] = {}
    alias = ALIAS
    unnamed: tuple[str, ...] = (DEFAULTS,)
    for file in _condarc_files(variables):
        found = _read_condarc(file)
        alias = _text(found.get("channel_alias")) or alias
        unnamed = _texts(found.get("channels")) or unnamed
        several |= {name: _texts(node) for name, node in _map(found.get("custom_multichannels"))}
        several[DEFAULTS] = _texts(found.get("default_channels")) or several[DEFAULTS]
        located |= {name: _text(node) for name, node in _map(found.get("custom_channels"))}
    alias = _variable(variables, "CHANNEL_ALIAS") or alias
    if given := _variable(variables, "DEFAULT_CHANNELS"):
        several[DEFAULTS] = _words(given)
    mirrors = tuple(_mirror(pair) for pair in _words(variables.get("FLOWRUN_CONDA_MIRRORS", "")))
    settings = CondaSettings(alias, unnamed, several, located, is_offline(variables), mirrors)
    for address in _addresses(settings):
        if "://" not in address or wrong_channel(address):
            raise EnvError(
                f"conda settings: '{mask(address)}' is no address of a channel.",
                "Write it as https://host/path or file:///path.",
            )
    return settings


def _addresses(settings: CondaSettings) -> Iterator[str]:
    yield settings.alias
    yield from settings.located.values()
    for mirror in settings.mirrors:
        yield from mirror


def _variable(variables: Mapping[str, str], name: str) -> str:
    return variables.get(f"FLOWRUN_CONDA_{name}") or variables.get(f"CONDA_{name}") or ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _mirror(pair: str) -> tuple[str, str]:
    address, equals, instead = pair.partition("=")
    if not equals:
        raise EnvError(
            f"FLOWRUN_CONDA_MIRRORS: '{mask(pair)}' is not of the form ADDRESS=MIRROR.",
            "For instance https://conda.anaconda.org=https://mirror.example.org/conda",
        )
    return address, instead


def _condarc_files(variables: Mapping[str, str]) -> Iterator[Path]:
    """Yield conda's own files, from the least to the most special."""
    yield from (Path("/etc/conda/.condarc"), Path("/etc/conda/condarc"))
    if config := variables.get("XDG_CONFIG_HOME"):
        yield Path(config) / "conda/.condarc"
    if home := variables.get("HOME"):
        for name in (".config/conda/.condarc", ".conda/.condarc", ".condarc"):
            yield Path(home) / name
    if named := variables.get("CONDARC"):
        yield Path(named)


def _read_condarc(file: Path) -> Mapping[str, Node]:
    try:
        if not file.is_file():
            return {}
        problems = Problems()
        root = read_yaml(read_text(file, Mark(str(file), 1, 1)), str(file), problems)
        problems.raise_if_any()
    except SpecError as error:
        raise EnvError(f"conda settings: {mask(error.message)}") from error
    except OSError:
        return {}  # HOME may be no folder
    if not isinstance(root, MapNode):
        return {}
    return {key: entry.node for key, entry in root.entries.items()}


def _text(node: Node | None) -> str:
    return node.text.strip() if isinstance(node, ScalarNode) and node.value is not None else ""


def _texts(node: Node | None) -> tuple[str, ...]:
    items = node.items if isinstance(node, ListNode) else []
    return tuple(text for text in map(_text, items) if text)


def _map(node: Node | None) -> Iterator[tuple[str, Node]]:
    if isinstance(node, MapNode):
        yield from ((key, entry.node) for key, entry in node.entries.items())
