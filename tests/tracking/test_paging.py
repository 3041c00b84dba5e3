"""Page tokens."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.errors import InvalidValueError
from flowrun.tracking.paging import Place, offset_of, page_of, place_of, token_after


@given(st.integers(0, 10**6), st.integers(1, 50))
def test_token_leads_to_where_the_page_ended(offset: int, max_results: int) -> None:
    page = page_of(range(max_results + 1), offset, max_results)
    assert len(page.items) == max_results
    assert offset_of(page.next_page_token) == offset + max_results


def test_last_page_has_no_token() -> None:
    assert page_of([1, 2], 0, 2).next_page_token is None


def test_token_is_mlflows() -> None:
    token = page_of([1, 2], 0, 1).next_page_token
    assert token == base64.b64encode(b'{"offset": 1}').decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("%", "Invalid page token, could not base64-decode"),
        (encoded("x"), "Invalid page token, decoded value=b'x'"),
        (encoded("{}"), "Invalid page token, parsed value={}"),
        (encoded("[1]"), "Invalid page token, parsed value=[1]"),
        (encoded('{"offset": -1}'), "Invalid page token, parsed value={'offset': -1}"),
    ],
)
def test_other_texts_are_refused(token: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        offset_of(token)
    assert str(error.value) == message


places = st.tuples(
    st.integers(0, 2**63 - 1),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from((0, 1)),
)


@given(places)
def test_token_leads_to_the_place_in_a_history(place: Place) -> None:
    assert place_of(token_after(place)) == place


@pytest.mark.parametrize(
    "after", ["[]", "[1, 1, 1.0]", "[1, 1, 1.0, 2]", "[1, 1, 1, 0]", "[1, 1e3, 1.0, 0]", "{}"]
)
def test_a_place_that_no_history_has_is_refused(after: str) -> None:
    with pytest.raises(InvalidValueError, match="Invalid page token, parsed value="):
        place_of(encoded(f'{{"after": {after}}}'))
