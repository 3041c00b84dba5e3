"""JSON in its one canonical form, so that equal records are equal bytes: to hash and to sign.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from flowrun.envs.masking import mask
from flowrun.plan.draw import Json

JsonObject = dict[str, Json]

MAX_WHOLE = 2**53 - 1
"""Of larger whole numbers not every JSON reader knows the last digit."""


def canonical_json(value: Json) -> bytes:
    """Give a value's canonical form, UTF-8.

    Raises:
        ValueError: it holds a number that JSON has no exact form for; see `json_number`.
    """
    return "".join(_parts(value)).encode()


def json_number(value: float) -> Json:
    """Give a number as a record keeps it: what JSON has no number for is a text.

    `nan` and the infinities become `NaN`, `Infinity` and `-Infinity`; whole numbers that don't fit
    become their digits.
    """
    if isinstance(value, int):
        return value if abs(value) <= MAX_WHOLE else str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def clean(value: Json) -> Json:
    """Give a value as it may be handed to anybody: what JSON can hold, no credentials in URLs.

    Whoever recorded it may have been less careful than flowrun is. Bytes that were no UTF-8 become
    replacement characters.
    """
    match value:
        case str():
            return _clean_text(value)
        case dict():
            return {_clean_text(name): clean(each) for name, each in value.items()}
        case list():
            return [clean(each) for each in value]
        case bool() | None:
            return value
        case _:
            return json_number(value)


def known(facts: Mapping[str, Json]) -> JsonObject:
    """Leave out what is None: a fact that is not known."""
    return {name: value for name, value in facts.items() if value is not None}


def _clean_text(text: str) -> str:
    shown = mask(text) if "@" in text else text
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _parts(value: Json) -> list[str]:
    match value:
        case None | bool() | str():
            return [json.dumps(value, ensure_ascii=False)]
        case int():
            if abs(value) > MAX_WHOLE:
                raise ValueError(f"{value} is too large for a number in JSON")
            return [str(value)]
        case float():
            return [_float(value)]
        case list():
            return ["[", *_joined([_parts(each) for each in value]), "]"]
        case dict():
            # Ordered by UTF-16 code units, as JavaScript compares texts.
            names = sorted(value, key=lambda name: name.encode("utf-16-be"))
            pairs = [[json.dumps(n, ensure_ascii=False), ":", *_parts(value[n])] for n in names]
            return ["{", *_joined(pairs), "}"]


def _joined(lists: list[list[str]]) -> list[str]:
    joined: list[str] = []
    for each in lists:
        joined += [",", *each] if joined else each
    return joined


def _float(value: float) -> str:
    """Give a number as JavaScript writes it: the shortest digits, an exponent only far from 1."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number in JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, rest = mantissa.partition(".")
    digits = (whole + rest).lstrip("0")
    # The number is 0.DIGITS times ten to the power of `point`.
    point = int(exponent or 0) + (len(whole) if whole.strip("0") else len(digits) - len(rest))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
