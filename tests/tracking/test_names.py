"""Names for runs that were given none."""

from __future__ import annotations

import re

from flowrun.tracking.names import name_from_id


def test_name_is_two_words_and_a_number() -> None:
    names = [name_from_id(f"{number:032x}") for number in range(2000)]
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-\d{1,3}", name) for name in names)
    assert max(map(len, names)) <= 20


def test_names_of_neighbours_differ() -> None:
    assert len({name_from_id(f"{number:032x}") for number in range(2000)}) > 1990


def test_name_of_an_id_stays() -> None:
    assert name_from_id("a") == name_from_id("a")
