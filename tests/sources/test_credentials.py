from __future__ import annotations

import pytest

from flowrun.sources.credentials import Credentials, without_credentials

SHOWN = {
    "https://user:token@host/o/r.git": "https://host/o/r.git",
    "https://token@host/o/r?x=1": "https://host/o/r",
    "ssh://git:pw@host/o/r": "ssh://git@host/o/r",
    "git@host:o/r": "git@host:o/r",
    "/data/r": "/data/r",
    "file:///data/a@b": "file:///data/a@b",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_remote_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_secret_is_not_in_the_text_of_the_value() -> None:
    assert repr(Credentials("https://host", "ada", "s3cret")) == "Credentials('https://host')"


def test_secret_reaches_git_behind_the_callers_own_settings_and_in_no_argument() -> None:
    named = Credentials("https://host", "ada", "s3cret").variables(3)
    assert named["GIT_CONFIG_COUNT"] == "5"
    assert (named["GIT_CONFIG_KEY_3"], named["GIT_CONFIG_VALUE_3"]) == ("credential.helper", "")
    assert named["GIT_CONFIG_KEY_4"] == "credential.https://host.helper"
    assert "s3cret" not in named["GIT_CONFIG_VALUE_4"]
