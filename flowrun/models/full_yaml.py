"""YAML of any kind, read safely by PyYAML: for MLmodel files that `block_yaml.py` does not read."""

from __future__ import annotations

import yaml

from flowrun.errors import InvalidValueError

_MAX_CHARACTERS = 500_000
_MAX_EVENTS = 50_000
"""PyYAML takes some seconds for so many. Its C library is faster, and dies of deep nesting."""
_MAX_DEPTH = 100
_TOO_BIG = "too big to be read in this style; block style may be longer"


def parse(text: str, where: str) -> object:
    """Give what a YAML text says; dates stay as they are written.

    Raises:
        InvalidValueError: it is none, is too long, has aliases, or says something twice; `where`
            names it in the message.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InvalidValueError(f"{where}: {_TOO_BIG}")
    try:
        _check_events(text, where)
        loaded: object = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or error
        raise InvalidValueError(f"{place}: not YAML: {problem}") from error
    except (ValueError, OverflowError) as error:
        raise InvalidValueError(f"{where}: a value can't be read: {error}") from error
    return loaded


def _check_events(text: str, where: str) -> None:
    """Refuse what takes too long, or too much memory, before anything is built of it."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        if number > _MAX_EVENTS:
            raise InvalidValueError(f"{where}: {_TOO_BIG}")
        if isinstance(event, yaml.AliasEvent):
            # MLflow writes none, and a few of them can stand for gigabytes.
            raise InvalidValueError(f"{where}: YAML aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise InvalidValueError(f"{where}: nested too deeply")


class _Loader(yaml.SafeLoader):
    """A SafeLoader that leaves dates as they are written, and takes no key twice.

    Which of two keys counts would depend on who reads.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001, FBT002 - theirs
        """Give a mapping."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"'{key.value}' is there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add((key.tag, key.value))
        made: dict[object, object] = super().construct_mapping(node, deep)
        return made


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
