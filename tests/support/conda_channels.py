"""The conda channel that tests share, made once for all processes of a test run."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tests.support.conda_channel import (
    CondaChannel,
    Package,
    installed_package,
    noarch_package,
    python_package,
)

NAME = "tests"


def shared_channel(folder: Path) -> CondaChannel:
    """Return the channel below a folder; whoever comes first makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / NAME
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            CondaChannel(made).add(python_package(), *_installed(), *_small())
            (folder / "done").touch()
    return CondaChannel.at(made)


def generic(name: str, version: str, *depends: str, **files: str) -> Package:
    """Return a package of a file that knows its version, and of others."""
    content = {f"share/{name}/version.txt": f"{version}\n", **files}
    return Package(name, version, depends=depends, files=content)


def _installed() -> list[Package]:
    """Return a pure distribution and one with a compiled module."""
    return [installed_package("click"), installed_package("markupsafe")]


def _small() -> list[Package]:
    """Return packages to solve with, and one that shows how environments are activated."""
    script = (
        'export ACTIVATED="$CONDA_PREFIX/share/activated"\nexport PATH="$ACTIVATED/bin:$PATH"\n'
    )
    return [
        generic("demo-lib", "1.0"),
        generic("demo-lib", "2.0"),
        generic("demo-app", "1.0", "demo-lib >=1,<2"),
        generic("demo-app", "2.0", "demo-lib >=2,<3"),
        generic("demo-gpu", "1.0", "__cuda >=12"),
        generic("activated", "1.0", **{"etc/conda/activate.d/activated.sh": script}),
        noarch_package("greeter", "1.0", {"greeter.py": "def greet(): return 'hello'\n"}),
        _described("alpha", "1.0"),
    ]


def _described(name: str, version: str) -> Package:
    """Return a module with the metadata that pip looks for."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    info = f"{name}-{version}.dist-info"
    modules = {
        f"{name}.py": f"version = '{version}'\nmaker = 'conda'\n",
        f"{info}/METADATA": metadata,
        f"{info}/INSTALLER": "conda",
        f"{info}/RECORD": "",
    }
    return noarch_package(name, version, modules)
