"""conda.yaml: what is read, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.envs.conda.file import CondaFile, read_conda_file
from flowrun.errors import SpecError
from flowrun.spec.project import Mark


def read(text: str, folder: Path) -> CondaFile:
    (folder / "c.yaml").write_text(text)
    return read_conda_file(folder / "c.yaml", "c.yaml")


def test_whole_file_is_read(tmp_path: Path) -> None:
    found = read(
        """
name: ours
prefix: /opt/envs/ours
channels: [nodefaults, conda-forge, 'https://repo.example.org/our/channel']
dependencies:
- python=3.11
- NumPy>=1.26,<2
- pytorch::pytorch=2.1=*cuda*
- scipy[version='>=1.10', build=py311*]
- pip
- pip: [six==1.16.0]
variables: {GREETING: hello, COUNT: 3, EMPTY: ''}
""",
        tmp_path,
    )
    assert found.channels == ("conda-forge", "https://repo.example.org/our/channel")
    assert [(spec.channel, spec.name, spec.text) for spec in found.specs] == [
        (None, "python", "python=3.11"),
        (None, "numpy", "NumPy>=1.26,<2"),
        ("pytorch", "pytorch", "pytorch=2.1=*cuda*"),
        (None, "scipy", "scipy[version='>=1.10', build=py311*]"),
        (None, "pip", "pip"),
    ]
    assert found.pip_lines == (("six==1.16.0", Mark("c.yaml", 11, 9)),)
    assert found.variables == (("GREETING", "hello"), ("COUNT", "3"), ("EMPTY", ""))
    assert found.notes == ()


@pytest.mark.parametrize("text", ["", "name: x", "dependencies:", "channels:\ndependencies: []"])
def test_file_may_ask_for_nothing(text: str, tmp_path: Path) -> None:
    assert read(text, tmp_path) == CondaFile()


def test_unknown_key_is_a_note(tmp_path: Path) -> None:
    assert read("dependancies: [numpy]", tmp_path).notes == (
        "c.yaml:1:1: 'dependancies' is ignored, as by conda; known: name, channels, dependencies, "
        "variables, prefix. Did you mean 'dependencies'?",
    )


_NO_PACKAGE = "write it as numpy, numpy=1.26, 'numpy>=1.26,<2' or conda-forge::numpy=1.26"
_NO_ADDRESS = "addresses and files are not taken here; name the package, and its channel"
SPECS = {
    "option": ("--override-channels", _NO_PACKAGE),
    "option behind a package": ("numpy --channel evil", _NO_PACKAGE),
    "short option behind a package": ("numpy -c evil", _NO_PACKAGE),
    "shell": ("numpy; rm -rf ~", _NO_PACKAGE),
    "substitution": ("$(id)", _NO_PACKAGE),
    "glob": ("num*", None),
    "address of a package": ("https://evil.example.org/numpy-1-0.conda", _NO_ADDRESS),
    "file": ("file:///tmp/numpy-1-0.conda", _NO_ADDRESS),
    "path": ("./numpy-1-0.conda", _NO_ADDRESS),
    "absolute path": ("/srv/numpy-1-0.conda", _NO_ADDRESS),
    "explicit list": ("@EXPLICIT", _NO_ADDRESS),
    "address in brackets": (
        "numpy[url=https://evil.example.org/x]",
        "'url' is not known in brackets; known: version, build, build_number, md5, sha256",
    ),
    "no key in brackets": (
        "numpy[1.0]",
        "'1.0' is not known in brackets; known: version, build, build_number, md5, sha256",
    ),
    "channel of a scheme": (
        "ftp://example.org/x::numpy",
        "'ftp:' addresses are not allowed; use https, http, file",
    ),
    "channel that climbs": (
        "https://example.org/a/../b::numpy",
        "a channel's address has no '..'",
    ),
}


@pytest.mark.parametrize(("text", "reason"), SPECS.values(), ids=SPECS)
def test_dependency_that_is_no_package_is_refused(
    text: str, reason: str | None, tmp_path: Path
) -> None:
    if reason is None:
        assert read(f"dependencies: ['{text}']", tmp_path).specs  # left to rattler
        return
    with pytest.raises(SpecError) as error:
        read(f"dependencies:\n- '{text}'\n", tmp_path)
    assert str(error.value) == f"c.yaml:2:3: '{text}' is no conda package: {reason}"


MISTAKES = {
    "no map": ("[]", "c.yaml:1:1: a conda environment file is a map with `dependencies`"),
    "channels are no list": ("channels: conda-forge", "c.yaml:1:11: channels: must be a list"),
    "channel is a map": ("channels: [{a: b}]", "c.yaml:1:12: a channel is a name or an address"),
    "channel is an option": (
        "channels: ['-c']",
        "c.yaml:1:12: '-c' is no channel; write a name such as conda-forge, or an address with ://",
    ),
    "channel is a path": (
        "channels: [../evil]",
        "c.yaml:1:12: '../evil' is no channel; write a name such as conda-forge, or an address "
        "with ://",
    ),
    "channel has a query": (
        "channels: ['https://a.example.org/b?c=d']",
        "c.yaml:1:12: 'https://a.example.org/b?c=d' is no channel; write a name such as "
        "conda-forge, or an address with ://",
    ),
    "only nodefaults": (
        "channels: [nodefaults]",
        "c.yaml:1:11: channels: names no channel to take packages from",
    ),
    "dependency is a number": (
        "dependencies: [3]",
        "c.yaml:1:16: a dependency is text, or a map with the one key `pip`",
    ),
    "pip beside another key": (
        "dependencies: [{pip: [], conda: []}]",
        "c.yaml:1:16: a dependency is text, or a map with the one key `pip`",
    ),
    "variables are a list": (
        "variables: [A=b]",
        "c.yaml:1:12: variables: must be a map of names to values",
    ),
    "name of a variable": (
        "variables: {'A B': c}",
        "c.yaml:1:13: 'A B' can't be the name of a variable",
    ),
    "variable is a list": (
        "variables: {A: [b]}",
        "c.yaml:1:16: variable 'A' must be text or a number",
    ),
    "key twice": (
        "channels: [a]\nchannels: [b]",
        "c.yaml:2:1: 'channels' is already there, in line 1",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        read(text, tmp_path)
    assert str(error.value) == message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        read("channels: [-x]\ndependencies: [--y, 3]\n", tmp_path)
    assert [problem.line for problem in error.value.problems] == [1, 2, 2]
