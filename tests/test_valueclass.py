"""Classes of values behave as frozen dataclasses do."""

from __future__ import annotations

import copy
from dataclasses import asdict, field, replace
from typing import ClassVar

from flowrun.valueclass import valueclass


@valueclass
class Point:
    """A place."""

    x: int
    y: int = 0
    label: str = field(default="", compare=False)
    secret: str = field(default="", repr=False, compare=False)
    names: tuple[str, ...] = field(default_factory=tuple)
    origin: ClassVar[str] = "here"


@valueclass
class Named(Point):
    """A place with a name."""

    name: str = "?"


@valueclass
class Nothing:
    """A value without fields."""


@valueclass
class Odd:
    """A value with an equality of its own."""

    n: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and self.n % 2 == other.n % 2

    def __hash__(self) -> int:
        return self.n % 2

    def __repr__(self) -> str:
        return f"<{self.n}>"


def test_equal_fields_make_equal_values_with_one_hash() -> None:
    assert Point(1, label="a") == Point(1, label="b")
    assert hash(Point(1, label="a")) == hash(Point(1, label="b"))
    assert Point(1) != Point(2)
    assert len({Point(1), Point(1), Point(1, 1)}) == 2
    assert Nothing() == Nothing()


def test_values_of_other_classes_are_never_equal() -> None:
    assert Point(1) != Named(1)
    assert Nothing() != Odd(1)


def test_shows_its_fields_as_a_dataclass_does() -> None:
    assert repr(Point(1, label="a", secret="s")) == "Point(x=1, y=0, label='a', names=())"
    assert repr(Nothing()) == "Nothing()"


def test_methods_of_the_class_itself_stay() -> None:
    assert Odd(1) == Odd(3)
    assert hash(Odd(1)) == hash(Odd(3))
    assert repr(Odd(1)) == "<1>"


def test_is_replaced_listed_matched_and_copied_as_a_dataclass() -> None:
    assert replace(Named(1, name="a"), x=2) == Named(2, name="a")
    assert asdict(Nothing()) == {}
    assert asdict(Point(1))["names"] == ()
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
    assert copy.deepcopy(Point(1, 2)) == Point(1, 2)


def test_takes_no_attribute_beside_its_fields() -> None:
    assert not hasattr(Point(1), "__dict__")
    assert not hasattr(Named(1), "__dict__")
