from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.engine.steps.local_paths import local_path_of

VALUES = {
    "relative": ("data/a.csv", "data/a.csv"),
    "absolute": ("/data/a b.csv", "/data/a b.csv"),
    "file URI": ("file:///data/a%20b.csv", "/data/a b.csv"),
    "file URI with a host": ("file://localhost/data", "/data"),
    "file URI with one slash": ("file:/data/x", "/data/x"),
    "file URI in capitals": ("FILE:///data", "/data"),
    "hash and question mark": ("file:///a#b?c", "/a#b?c"),
    "a name with a colon": ("run:1.csv", "run:1.csv"),
    "a drive": ("C:/data", "C:/data"),
    "what would be a broken URL": ("//[x", "//[x"),
    "brackets in a file URI": ("file://[x/y", "/y"),
    "web": ("https://example.org/x.csv", None),
    "run": ("runs:/0123/model", None),
    "bucket": ("s3://bucket/x", None),
}


@pytest.mark.parametrize(("value", "path"), VALUES.values(), ids=VALUES.keys())
def test_only_plain_paths_and_file_uris_are_local(value: str, path: str | None) -> None:
    assert local_path_of(value) == (None if path is None else Path(path))
