"""A file of parameter values, YAML or JSON: what `--params-file` names."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark
from flowrun.spec.yaml_nodes import MapNode, Node, ScalarNode, plain, read_yaml
from flowrun.valueclass import valueclass

MAX_BYTES = 1_048_576


@valueclass
class ParamsFile:
    """Parameter values, each with the place of its name."""

    texts: Mapping[str, str]
    """As on the command line: single values as they are written, lists and maps as JSON."""
    marks: Mapping[str, Mark]


def parse_params(text: str, file: str) -> ParamsFile:
    """Return the parameters that a file gives.

    Raises:
        SpecError: all that is wrong with it.
    """
    problems = Problems()
    root = read_yaml(text, file, problems)
    texts: dict[str, str] = {}
    marks: dict[str, Mark] = {}
    if isinstance(root, MapNode):
        for name, entry in root.entries.items():
            if isinstance(entry.node, ScalarNode) and entry.node.value is None:
                problems.add(entry.mark, f"'{name}' has no value; leave it out for its default")
            texts[name] = _text(entry.node)
            marks[name] = entry.mark
    elif root is not None and not (isinstance(root, ScalarNode) and root.value is None):
        problems.add(root.mark, "a file of parameters is a map of names to values")
    problems.raise_if_any()
    return ParamsFile(texts, marks)


def _text(node: Node) -> str:
    return node.text if isinstance(node, ScalarNode) else json.dumps(plain(node), default=str)
