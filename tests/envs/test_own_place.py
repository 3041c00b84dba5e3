"""Places of verifications, of several at once and of killed ones."""

from __future__ import annotations

import threading
from pathlib import Path

from flowrun.envs.own_place import own_place, sweep


def test_place_is_private_empty_and_gone_at_the_end(tmp_path: Path) -> None:
    with own_place(tmp_path / "verify") as place:
        assert list(place.iterdir()) == []
        assert place.stat().st_mode & 0o077 == 0
        sealed = place / "envs"
        sealed.mkdir()
        sealed.chmod(0o500)
    assert list((tmp_path / "verify").iterdir()) == []


def test_place_in_use_is_kept_and_a_left_one_removed(tmp_path: Path) -> None:
    left = tmp_path / "verify" / "left"
    left.mkdir(parents=True)
    with own_place(tmp_path / "verify") as first, own_place(tmp_path / "verify") as second:
        sweep(tmp_path / "verify")
        assert (first.is_dir(), second.is_dir(), left.exists()) == (True, True, False)
        assert first != second


def test_places_that_begin_at_once_do_not_sweep_each_other_up(tmp_path: Path) -> None:
    missing: list[Path] = []

    def take() -> None:
        for _ in range(50):
            with own_place(tmp_path / "verify") as place:
                if not place.is_dir():
                    missing.append(place)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert list((tmp_path / "verify").iterdir()) == []
