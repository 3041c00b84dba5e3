"""YAML of any kind, read safely by PyYAML: for MLmodel files that `block_yaml.py` does not read."""

from __future__ import annotations

import yaml

from flowrun.errors import InvalidValueError


def parse(text: str, where: str) -> object:
    """Give what a YAML text says; dates stay as they are written.

    Raises:
        InvalidValueError: it is none, or has aliases; `where` names it in the message.
    """
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            # MLflow writes none, and a few of them can stand for gigabytes.
            raise InvalidValueError(f"{where}: YAML aliases are not allowed")
        loaded: object = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or error
        raise InvalidValueError(f"{place}: not YAML: {problem}") from error
    except RecursionError:
        raise InvalidValueError(f"{where}: nested too deeply") from None
    return loaded


class _Loader(yaml.SafeLoader):
    """A SafeLoader that leaves dates as they are written."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
