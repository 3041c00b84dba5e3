"""Workshops of builders that come and go at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flowrun.envs.base import never
from flowrun.envs.workshop import abandoned, opened

BUILDERS = 8
WORKSHOPS = 300


def test_new_workshop_is_swept_up_by_nobody(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"

    def build(number: int) -> str:
        log = tmp_path / "logs" / f"{number}.log"
        with opened(scratch, tmp_path / "prefix", log, lambda _: None, never) as shop:
            file = shop.folder / "file"
            file.write_text(str(number))
            return file.read_text()

    with ThreadPoolExecutor(BUILDERS) as pool:
        assert list(pool.map(build, range(WORKSHOPS))) == [str(n) for n in range(WORKSHOPS)]
    assert list(scratch.iterdir()) == []


def test_workshop_in_use_is_not_abandoned(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    left = scratch / "left"
    left.mkdir(parents=True)
    assert list(abandoned(scratch)) == [left]
    with opened(scratch, tmp_path / "prefix", tmp_path / "log", lambda _: None, never):
        assert not left.exists()
        assert list(abandoned(scratch)) == []
