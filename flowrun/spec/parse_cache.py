"""`cache` and `sources`: when a finished run may stand for a command, and which files it reads."""

from __future__ import annotations

from flowrun.spec.durations import parse_duration_s
from flowrun.spec.fields import Fields
from flowrun.spec.globs import glob_mistake
from flowrun.spec.project import CacheScope, CacheSpec, Name
from flowrun.spec.yaml_nodes import MapNode, ScalarNode


def parse_cache(fields: Fields) -> CacheSpec | None:
    """Return what a map says of the cache, if it says something."""
    entry = fields.entry("cache")
    if entry is None:
        return None
    match entry.node:
        case ScalarNode(value=bool() as is_on):
            return CacheSpec(is_on)
        case MapNode():
            inner = fields.fields("cache", f"cache of {fields.what}")
            return _detailed(inner) if inner else None
        case other:
            fields.problems.add(
                other.mark,
                f"'cache' of {fields.what} must be true, false, or a map with 'expires' or 'scope'",
            )
            return None


def parse_sources(fields: Fields) -> tuple[Name, ...] | None:
    """Return the patterns of the files that a command reads of its project, if it names them."""
    entry = fields.entry("sources")
    if entry is None:
        return None
    found = fields.names("sources")
    for name in found:
        if mistake := glob_mistake(name.text):
            fields.problems.add(name.mark, f"'{name.text}' in 'sources' of {fields.what} {mistake}")
    if not found:
        fields.problems.add(
            entry.node.mark, f"'sources' of {fields.what} must be a list of file patterns"
        )
    return found


def _detailed(fields: Fields) -> CacheSpec:
    expires_s = parse_duration_s(fields, "expires", "7d, 12h or 30m")
    scope = fields.name("scope")
    fields.end(unknown_is_error=True)
    if scope is not None and scope.text not in {each.value for each in CacheScope}:
        fields.problems.add(
            scope.mark,
            f"'scope' of {fields.what} must be store or experiment, not '{scope.text}'",
        )
        scope = None
    kind = CacheScope(scope.text) if scope else CacheScope.STORE
    return CacheSpec(expires_s=expires_s, scope=kind)
