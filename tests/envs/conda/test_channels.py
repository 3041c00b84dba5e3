"""What channel names mean, by the file and by the machine's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowrun.envs.conda.channels import Channels, masked
from flowrun.envs.conda.file import CondaFile, Spec
from flowrun.envs.conda.settings import read_settings
from flowrun.errors import EnvError
from flowrun.spec.project import Mark


@dataclass(frozen=True)
class Meaning:
    asked: tuple[str, ...]
    urls: tuple[str, ...]
    """As locks tell them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    condarc: str = ""
    sources: tuple[str, ...] | None = None
    """Where this machine asks; None: the same."""


PUBLIC = "https://conda.anaconda.org"
MIRROR = {"FLOWRUN_CONDA_MIRRORS": f"{PUBLIC}=http://m/x, {PUBLIC}/bioconda/=file:///bio"}
MEANINGS = {
    "name": Meaning(("conda-forge",), (f"{PUBLIC}/conda-forge",)),
    "name with a label": Meaning(("a/label/dev",), (f"{PUBLIC}/a/label/dev",)),
    "address": Meaning(("https://h/c/",), ("https://h/c",)),
    "defaults": Meaning(
        ("defaults",), ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
    ),
    "no channel": Meaning(
        (), ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
    ),
    "no channel, but one in .condarc": Meaning(
        (), (f"{PUBLIC}/conda-forge",), condarc="channels: [conda-forge]"
    ),
    "channels of .condarc are not added": Meaning(
        ("a",), (f"{PUBLIC}/a",), condarc="channels: [conda-forge]"
    ),
    "alias": Meaning(("a",), ("file:///m/a",), {"FLOWRUN_CONDA_CHANNEL_ALIAS": "file:///m/"}),
    "alias of conda's variable": Meaning(
        ("a",), ("http://h/a",), {"CONDA_CHANNEL_ALIAS": "http://h"}, "channel_alias: http://other"
    ),
    "alias of .condarc": Meaning(("a",), ("http://h/a",), condarc="channel_alias: http://h/"),
    "defaults replaced": Meaning(
        ("defaults", "b"),
        ("file:///a", f"{PUBLIC}/b"),
        {"FLOWRUN_CONDA_DEFAULT_CHANNELS": "file:///a b"},
    ),
    "defaults replaced in .condarc": Meaning(
        ("defaults",), ("http://h/main",), condarc="default_channels: [http://h/main]"
    ),
    "custom channel": Meaning(
        ("ours", "ours/label/x"),
        ("http://h/p/ours", "http://h/p/ours/label/x"),
        condarc="custom_channels: {ours: http://h/p}",
    ),
    "custom multichannel": Meaning(
        ("all",),
        (f"{PUBLIC}/a", "http://h/b"),
        condarc="custom_multichannels: {all: [a, http://h/b]}",
    ),
    "mirrors": Meaning(
        ("conda-forge", "bioconda", "http://other/c"),
        (f"{PUBLIC}/conda-forge", f"{PUBLIC}/bioconda", "http://other/c"),
        MIRROR,
        sources=("http://m/x/conda-forge", "file:///bio", "http://other/c"),
    ),
    "credentials stay on the machine": Meaning(
        ("a", "http://me:secret@h/c"),
        ("https://h/a", "http://h/c"),
        condarc="channel_alias: https://h/t/my-token",
        sources=("https://h/t/my-token/a", "http://me:secret@h/c"),
    ),
    "the same one twice": Meaning(("a", "a"), (f"{PUBLIC}/a",)),
}


@pytest.mark.parametrize("case", MEANINGS.values(), ids=MEANINGS)
def test_name_means(case: Meaning, tmp_path: Path) -> None:
    (tmp_path / ".condarc").write_text(case.condarc)
    settings = read_settings({"HOME": str(tmp_path), **case.variables})
    found = Channels.of(CondaFile(case.asked), settings)
    assert tuple(each.url for each in found.every) == case.urls
    assert tuple(each.source for each in found.every) == (case.sources or case.urls)
    for each in found.every:
        assert found.here(f"{each.url}/noarch/x-1-0.conda") == f"{each.source}/noarch/x-1-0.conda"
        assert found.public(f"{each.source}/noarch/x-1-0.conda") == f"{each.url}/noarch/x-1-0.conda"


def test_channel_of_a_dependency_comes_last() -> None:
    spec = Spec("numpy", "numpy", Mark("c.yaml", 1, 1), "b")
    found = Channels.of(CondaFile(("a",), (spec,)), read_settings({}))
    assert [each.name for each in found.every] == ["a", "b"]


SETTINGS = {
    "alias is no address": (
        {"FLOWRUN_CONDA_CHANNEL_ALIAS": "conda-forge"},
        "conda settings: 'conda-forge' is no address of a channel.\n"
        "Write it as https://host/path or file:///path.",
    ),
    "mirror without an address": (
        {"FLOWRUN_CONDA_MIRRORS": "http://me:secret@h/x"},
        "FLOWRUN_CONDA_MIRRORS: 'http://***@h/x' is not of the form ADDRESS=MIRROR.\n"
        "For instance https://conda.anaconda.org=https://mirror.example.org/conda",
    ),
    "channels in a circle": (
        {"FLOWRUN_CONDA_DEFAULT_CHANNELS": "all", "CONDARC": "circle"},
        "conda settings: channel 'all' stands for itself.",
    ),
    "broken file": (
        {"CONDARC": "broken"},
        "conda settings: broken:2:1: this is not YAML",
    ),
}


@pytest.mark.parametrize(("variables", "message"), SETTINGS.values(), ids=SETTINGS)
def test_setting_that_can_not_be_used_is_told(
    variables: Mapping[str, str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "circle").write_text("custom_multichannels: {all: [defaults]}")
    (tmp_path / "broken").write_text("channels: [")
    with pytest.raises(EnvError) as error:
        Channels.of(CondaFile(("defaults",)), read_settings(variables))
    assert str(error.value).startswith(message)


def test_credentials_of_addresses_are_masked() -> None:
    text = "could not read https://me:secret@h/c and https://h/t/ab-cd/c/noarch"
    assert masked(text) == "could not read https://***@h/c and https://h/t/***/c/noarch"
