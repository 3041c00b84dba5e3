from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flowrun.errors import InvalidValueError
from flowrun.server.webhooks.post import post
from flowrun.server.webhooks.rules import WebhookRules
from tests.support.receiver import Received, Said, receiving

LOCAL = WebhookRules(schemes=("http", "https"), allow_private=True, timeout_s=5)


def redirect(status: int, place: str) -> Said:
    return Said(status, {"Location": place})


def test_a_receiver_gets_the_body_and_says_something() -> None:
    with receiving(lambda _: Said(202, {"Retry-After": "7"}, b"ok")) as receiver:
        reply = post(receiver.url, b"{}", {"X-A": "b"}, LOCAL)
        (received,) = receiver.got
    assert (reply.status, reply.text, reply.retry_after_s, reply.is_good) == (202, "ok", 7, True)
    assert (received.path, received.body, received.headers["x-a"]) == ("/hook?a=b", b"{}", "b")
    assert received.headers["host"] == receiver.url.split("/")[2]


def test_a_redirect_that_keeps_the_method_is_followed() -> None:
    with receiving() as final, receiving(lambda _: redirect(307, final.url)) as first:
        assert post(first.url, b"x", {}, LOCAL).status == 200
    assert [received.body for received in final.got] == [b"x"]


def test_other_redirects_are_answers() -> None:
    with receiving() as final, receiving(lambda _: redirect(302, final.url)) as first:
        assert not post(first.url, b"x", {}, LOCAL).is_good
    assert final.got == []


def test_a_circle_of_redirects_ends() -> None:
    with (
        receiving(lambda received: redirect(308, received.path)) as receiver,
        pytest.raises(InvalidValueError, match="more than 3 redirects"),
    ):
        post(receiver.url, b"x", {}, LOCAL)
    assert len(receiver.got) == 4


def test_a_redirect_is_checked_like_the_url_itself() -> None:
    with (
        receiving(lambda _: redirect(307, "file:///etc/passwd")) as receiver,
        pytest.raises(InvalidValueError, match="Invalid webhook URL scheme: 'file'"),
    ):
        post(receiver.url, b"x", {}, LOCAL)


def test_a_private_address_is_not_even_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(InvalidValueError, match="non-public IP address"):
            post(url, b"x", {}, WebhookRules())
        with pytest.raises(TimeoutError):
            listener.accept()


def test_what_speaks_no_http_is_an_error_of_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.close()
        with pytest.raises(OSError, match="refused"):
            post(url, b"x", {}, LOCAL)


def test_a_long_answer_is_cut() -> None:
    with receiving(lambda _: Said(body=b"x" * 1_000_000)) as receiver:
        assert len(post(receiver.url, b"", {}, LOCAL).text) == 65_536


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of `localhost`, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def test_a_certificate_is_checked_against_the_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with receiving(tls=tls) as receiver:
        with pytest.raises(ssl.SSLCertVerificationError):
            post(receiver.url, b"x", {}, LOCAL)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert post(receiver.url, b"x", {}, LOCAL).status == 200
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            post(receiver.url.replace("localhost", "127.0.0.1"), b"x", {}, LOCAL)
    assert [received.body for received in receiver.got] == [b"x"]


def test_the_date_of_a_retry_after_is_read() -> None:
    at = (datetime.now(UTC) + timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def answer(_: Received) -> Said:
        return Said(503, {"Retry-After": at})

    with receiving(answer) as receiver:
        asked = post(receiver.url, b"", {}, LOCAL).retry_after_s
    assert asked is not None
    assert 90 < asked <= 100
