from __future__ import annotations

import pytest

from flowrun.errors import InvalidStateError, UsageError
from flowrun.server.webhooks.seal import Sealer, new_key


def test_a_sealed_secret_is_read_with_its_key_only() -> None:
    key = new_key()
    sealed = Sealer(lambda: key).seal("open sesame")
    assert "sesame" not in sealed
    assert Sealer(lambda: key).open(sealed) == "open sesame"
    with pytest.raises(InvalidStateError, match="encrypted with another key"):
        Sealer(new_key).open(sealed)


def test_what_is_no_key_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(UsageError, match="MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY is no key"):
        Sealer(lambda: "short").seal("x")


def test_an_unencrypted_secret_in_the_store_is_not_used() -> None:
    with pytest.raises(InvalidStateError):
        Sealer(new_key).open("plain text")
