"""`cache` and `sources`: what can be written, and what a pattern means."""

from __future__ import annotations

import pytest

from flowrun.errors import SpecError
from flowrun.spec.globs import pattern_of, rooted
from flowrun.spec.parse import parse_project
from flowrun.spec.project import CacheScope, CacheSpec

SAID = {
    "off": ("false", CacheSpec(is_on=False)),
    "on": ("true", CacheSpec()),
    "nothing": ("", None),
    "days": ("{expires: 7d}", CacheSpec(expires_s=604_800)),
    "hours": ("{expires: 1.5h}", CacheSpec(expires_s=5400)),
    "scope": ("{scope: experiment}", CacheSpec(scope=CacheScope.EXPERIMENT)),
}


@pytest.mark.parametrize(("text", "meant"), SAID.values(), ids=SAID.keys())
def test_cache_is_what_the_file_says(text: str, meant: CacheSpec | None) -> None:
    own = parse_project(f"entry_points:\n  a:\n    command: ls\n    cache: {text}\n", "MLproject")
    assert own.entry_points["a"].cache == meant
    step = parse_project(
        f"entry_points:\n  a:\n    steps:\n      s: {{run: ls, cache: {text or 'null'}}}\n",
        "MLproject",
    )
    assert step.entry_points["a"].steps["s"].cache == meant


MISTAKES = {
    "a word": (
        "cache: never",
        "3:12: 'cache' of entry point 'a' must be true, false, or a map with 'expires' or 'scope'",
    ),
    "no age": (
        "cache: {expires: soon}",
        "3:22: 'expires' of cache of entry point 'a' must be like 7d, 12h or 30m, not 'soon'",
    ),
    "no scope": (
        "cache: {scope: world}",
        "3:20: 'scope' of cache of entry point 'a' must be store or experiment, not 'world'",
    ),
    "another key": (
        "cache: {expire: 7d}",
        "3:13: cache of entry point 'a' has no key 'expire'. Did you mean 'expires'?",
    ),
    "a pattern that climbs": (
        "sources: [a.py, ../b.py]",
        "3:21: '../b.py' in 'sources' of entry point 'a' has '.' or '..' in it; a '/' in front "
        "means the top of the repository",
    ),
    "no pattern": (
        "sources: []",
        "3:14: 'sources' of entry point 'a' must be a list of file patterns",
    ),
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_place(line: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        parse_project(f"entry_points:\n  a: {{command: ls,\n    {line}}}\n", "MLproject")
    assert str(raised.value) == f"MLproject:{message}"


def test_a_pipeline_has_no_cache_of_its_own() -> None:
    with pytest.raises(SpecError) as raised:
        parse_project(
            "entry_points:\n  a:\n    cache: false\n    steps: {s: {run: ls}}\n", "MLproject"
        )
    assert str(raised.value) == (
        "MLproject:3:5: entry point 'a' is a pipeline; 'cache' belongs on its steps"
    )


MATCHES = {
    "a file": ("train.py", "p/train.py", True),
    "a file elsewhere": ("train.py", "p/lib/train.py", False),
    "a folder": ("lib", "p/lib/deep/a.py", True),
    "a star stops at a slash": ("*.py", "p/lib/a.py", False),
    "two stars do not": ("**/*.py", "p/lib/deep/a.py", True),
    "two stars may mean no folder": ("**/*.py", "p/a.py", True),
    "one character": ("?.py", "p/a.py", True),
    "one of some": ("[ab].py", "p/b.py", True),
    "none of some": ("[!ab].py", "p/b.py", False),
    "from the top": ("/shared/*.py", "shared/a.py", True),
    "from the top, not the project": ("/shared/*.py", "p/shared/a.py", False),
    "a dot is a dot": ("a.py", "p/axpy", False),
}


@pytest.mark.parametrize(("glob", "path", "is_meant"), MATCHES.values(), ids=MATCHES.keys())
def test_a_pattern_means_files(glob: str, path: str, is_meant: bool) -> None:
    assert bool(pattern_of(rooted([glob], "p")).fullmatch(path)) == is_meant
