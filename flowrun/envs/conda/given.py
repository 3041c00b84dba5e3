"""Checks a given conda lock: it may name nothing that its conda.yaml does not lead to."""

from __future__ import annotations

import re
from pathlib import Path

from flowrun.envs.conda.channels import Channels, masked
from flowrun.envs.conda.file import CondaFile
from flowrun.envs.conda.lock import CondaLock
from flowrun.envs.given_lock import check_pins, check_tag
from flowrun.envs.inputs import Inputs
from flowrun.envs.lock import TAG
from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark
from flowrun.spec.yaml_nodes import ListNode, MapNode, Node, ScalarNode, read_yaml

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_given(
    lock: str, file: CondaFile, inputs: Inputs, channels: Channels, subdir: str
) -> None:
    """Refuse a lock that no solution of this file can have given.

    Args:
        subdir: conda's name of the platform to install for.

    Raises:
        SpecError: all that is wrong with it.
    """
    label = f"lock of {inputs.description.label}"
    check_tag(lock, TAG, label)
    parts = CondaLock.parse(lock)
    start, problems = Mark(label, 1, 1), Problems()
    for name, value in parts.variables:
        if (name, value) not in file.variables:
            problems.add(start, f"variable {name} is not set so in {inputs.description.label}")
    root = read_yaml(parts.conda, label, problems)
    packages = _child(root, "packages")
    for each in packages.items if isinstance(packages, ListNode) else []:
        _check_package(each, channels, subdir, problems)
    problems.raise_if_any()
    if parts.pip:
        check_pins(parts.pip, inputs, f"{label}, pip")


def _check_package(node: Node, channels: Channels, subdir: str, problems: Problems) -> None:
    url, digest = _text(_child(node, "conda")), _text(_child(node, "sha256"))
    if not url:
        problems.add(node.mark, "this is no conda package")
        return
    if url.startswith("/"):  # so rattler writes what it has from a channel that is a folder
        url = Path(url).as_uri()
    folders = [f"{each.url}/{part}/" for each in channels.every for part in (subdir, "noarch")]
    folder, _, name = url.rpartition("/")
    if f"{folder}/" not in folders or not name:
        text = f"{masked(url)} is in none of the environment's channels for {subdir}"
        problems.add(node.mark, text)
    elif not _SHA256.fullmatch(digest):
        problems.add(node.mark, f"{masked(url)} has no sha256")


def _child(node: Node | None, key: str) -> Node | None:
    entry = node.entries.get(key) if isinstance(node, MapNode) else None
    return entry.node if entry else None


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, ScalarNode) else ""
