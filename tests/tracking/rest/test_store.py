"""A store behind flowrun's own server keeps the promises of a tracking store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from flowrun.errors import InvalidValueError
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.server import Server
from flowrun.tracking.rest.store import RestTrackingStore
from flowrun.tracking.store import TrackingStore
from tests.contracts.tracking_store import TrackingStoreContract
from tests.support.serving import TOKEN, serving
from tests.support.stores import ticking_clock

SEE_DOCS = " See the API docs for more information about request parameters."


class TestRestTrackingStore(TrackingStoreContract):
    """Every promise, through HTTP."""

    # The server reads a request, and looks at where it leads, before the store sees it.
    told: ClassVar = {
        "no experiment name": f"Missing value for required parameter 'name'.{SEE_DOCS}",
        "climbing location": "Invalid path 's3://b/../c': it climbs with '..'.",
        "huge step": (
            "Invalid value 9223372036854775808 for parameter 'metrics[0].step' supplied:  "
            f"Hint: Value was of type 'int'.{SEE_DOCS}"
        ),
        "dataset without name": (
            f"Missing value for required parameter 'datasets[0].dataset_name'.{SEE_DOCS}"
        ),
        "half a surrogate pair": (
            "Invalid value \"\\ud800\" for parameter 'name' supplied:  "
            f"Hint: Value was of type 'str'.{SEE_DOCS}"
        ),
    }
    state_error = InvalidValueError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TrackingStore]:
        clock = ticking_clock()
        with serving(tmp_path, now=clock) as served:
            address = server_address(served.url, {"MLFLOW_TRACKING_TOKEN": TOKEN})
            store = RestTrackingStore(Server(address), now=clock)
            yield store
            store.close()
