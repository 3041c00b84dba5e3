from __future__ import annotations

from flowrun.server.messages import ANY_METHOD
from flowrun.server.reference import PAGE, page
from flowrun.server.routes import all_routes


def test_the_page_is_what_the_route_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m flowrun.server.reference"


def test_every_route_is_on_the_page_or_the_twin_of_one_that_is() -> None:
    text = page()
    for route in all_routes():
        if route.method == ANY_METHOD:
            continue
        twin = route.path.replace("/ajax-api/", "/api/", 1)
        assert f"| {route.method} | `{route.path}` |" in text or f"`{twin}` |" in text
