"""What `conda activate` would set: asked once, when an environment is built, and written down.

Packages bring scripts (`etc/conda/activate.d`) that point programs at their data: JAVA_HOME,
GDAL_DATA, compilers. A step uses its environment by path, so it gets what they have set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from flowrun.envs.workshop import Workshop
from flowrun.valueclass import valueclass

_NOTED = "conda-meta/flowrun-activation.json"
_RUN_SCRIPTS = 'out="$1"; shift; for script; do . "$script"; done; env -0 > "$out"'
_SHELLS_OWN = {"_", "OLDPWD", "PWD", "SHLVL"}


@valueclass
class Activation:
    """What an environment sets beyond its own prefix."""

    variables: Mapping[str, str] = field(default_factory=dict)
    path_entries: tuple[Path, ...] = ()


def prefix_variables(prefix: Path) -> dict[str, str]:
    """Return what conda sets for every environment."""
    return {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": str(prefix), "CONDA_SHLVL": "1"}


def note_activation(shop: Workshop, caller: Mapping[str, str]) -> None:
    """Run the activation scripts of the packages at the workshop's prefix; keep what they set.

    Raises:
        CommandFailedError: there is no bash, or a script ends it.
    """
    prefix = shop.prefix
    given = _package_variables(prefix)
    scripts = sorted((prefix / "etc/conda/activate.d").glob("*.sh"))
    path = [str(prefix / "bin"), caller.get("PATH", os.defpath)]
    entries: tuple[str, ...] = ()
    if scripts:
        kept = {name: value for name, value in caller.items() if not name.startswith("CONDA_")}
        before = {
            **kept,
            **prefix_variables(prefix),
            **given,
            "PATH": os.pathsep.join(path),
        }
        out = shop.folder / "activated"
        shop.run(
            ["bash", "--noprofile", "--norc", "-c", _RUN_SCRIPTS, "bash", out, *scripts],
            before,
            what="the packages' activation scripts",
        )
        after = dict(
            pair.split("=", 1)
            for pair in out.read_bytes().decode("utf-8", "replace").split("\0")
            if "=" in pair
        )
        given |= {name: value for name, value in after.items() if before.get(name) != value}
        found = given.pop("PATH", before["PATH"])
        entries = tuple(filter(None, found.removesuffix(before["PATH"]).split(os.pathsep)))
    given = {name: value for name, value in given.items() if name not in _SHELLS_OWN}
    if given or entries:
        (prefix / _NOTED).write_text(json.dumps({"variables": given, "path": entries}))


def noted_activation(prefix: Path) -> Activation:
    """Return what was noted when the environment was built."""
    try:
        noted = json.loads((prefix / _NOTED).read_bytes())
    except FileNotFoundError:
        return Activation()
    return Activation(noted["variables"], tuple(Path(each) for each in noted["path"]))


def _package_variables(prefix: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted((prefix / "etc/conda/env_vars.d").glob("*.json")):
        given = json.loads(file.read_bytes())
        found |= {str(name): str(value) for name, value in given.items()}
    return found
