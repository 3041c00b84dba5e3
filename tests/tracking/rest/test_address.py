"""What a tracking URI and the caller's variables say about a server."""

from __future__ import annotations

import pytest

from flowrun.errors import UsageError
from flowrun.tracking.rest.address import server_address

BAD_URIS = [
    "http://",
    "http:///path",
    "http://host:port",
    "http://h?x=1",
    "https://h#x",
    "http://a\nb",
]
BAD_VARIABLES = {
    "flag": ("MLFLOW_TRACKING_INSECURE_TLS", "maybe", "must be true or false"),
    "no number": ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon", "must be a number of seconds"),
    "negative": ("FLOWRUN_SERVER_PATIENCE_S", "-1", "must be a number of seconds"),
    "endless": ("FLOWRUN_SERVER_PATIENCE_S", "inf", "must be a number of seconds"),
}


def test_an_address_is_taken_without_credentials_and_slash() -> None:
    address = server_address("https://ada:s%2Fcret@host:8443/team/", {})
    assert address.url == "https://host:8443/team"
    assert address.credentials == {
        "MLFLOW_TRACKING_USERNAME": "ada",
        "MLFLOW_TRACKING_PASSWORD": "s/cret",
    }
    assert "cret" not in repr(address)


def test_what_the_address_says_goes_before_the_variables() -> None:
    variables = {"MLFLOW_TRACKING_USERNAME": "eve", "MLFLOW_TRACKING_PASSWORD": "x"}
    address = server_address("http://ada:y@host", variables)
    assert address.credentials["MLFLOW_TRACKING_USERNAME"] == "ada"


def test_a_user_goes_before_a_token_as_in_mlflow() -> None:
    variables = {"MLFLOW_TRACKING_TOKEN": "t", "MLFLOW_TRACKING_USERNAME": "ada"}
    address = server_address("http://host", variables)
    assert address.authorization is not None
    assert address.authorization.startswith("Basic ")
    token = server_address("http://host", {"MLFLOW_TRACKING_TOKEN": "t"})
    assert token.authorization == "Bearer t"


@pytest.mark.parametrize("uri", BAD_URIS)
def test_what_names_no_server_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="names no server"):
        server_address(uri, {})


def test_a_refusal_does_not_show_the_password() -> None:
    with pytest.raises(UsageError) as error:
        server_address("http://ada:secret@host:port", {})
    assert str(error.value).startswith("tracking URI 'http://host:port' names no server")


@pytest.mark.parametrize(("name", "value", "why"), BAD_VARIABLES.values(), ids=BAD_VARIABLES)
def test_a_variable_that_can_not_be_read_is_named(name: str, value: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        server_address("http://host", {name: value})
    assert error.value.message == f"{name}={value}: {why}"


@pytest.mark.parametrize(
    ("uri", "variables", "proxy"),
    {
        "https": ("https://h", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        "small letters": ("http://h", {"http_proxy": "p:1"}, "http://p:1"),
        "all": ("https://h", {"ALL_PROXY": "http://p"}, "http://p"),
        "not for this scheme": ("https://h", {"HTTP_PROXY": "http://p"}, None),
        "not for this host": ("http://a.b", {"HTTP_PROXY": "p", "NO_PROXY": "x, .b"}, None),
        "not for this machine": ("http://127.0.0.1:5", {"HTTP_PROXY": "http://p"}, None),
    }.values(),
)
def test_proxies_are_chosen_as_curl_does(
    uri: str, variables: dict[str, str], proxy: str | None
) -> None:
    assert server_address(uri, variables).proxy == proxy
