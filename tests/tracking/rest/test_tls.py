"""Servers behind https: trusted by the file of their authority, or by leave, and else not."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flowrun.errors import StoreError, UsageError
from flowrun.tracking.rest.address import server_address
from flowrun.tracking.rest.server import Server
from tests.support.odd_server import OddServer, Reply, odd_server


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for 127.0.0.1 that nobody else has signed, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[OddServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with odd_server([Reply()], tls=context) as server:
        yield server


def _ask(url: str, **variables: str) -> None:
    server = Server(server_address(url, variables))
    try:
        server.do("POST", "runs/update", {})
    finally:
        server.close()


def test_a_certificate_that_nobody_trusts_is_refused_with_the_way_out(secure: OddServer) -> None:
    with pytest.raises(StoreError) as error:
        _ask(secure.url)
    assert error.value.message == (
        f"the certificate of {secure.url} is not trusted: self-signed certificate"
    )
    assert error.value.hint is not None
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in error.value.hint
    assert secure.asked == []


@pytest.mark.parametrize("way", ["authority", "leave"])
def test_a_certificate_is_trusted_by_its_authority_or_by_leave(
    secure: OddServer, certificate: Path, way: str
) -> None:
    ways = {
        "authority": {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificate)},
        "leave": {"MLFLOW_TRACKING_INSECURE_TLS": "true"},
    }
    _ask(secure.url, **ways[way])
    assert len(secure.asked) == 1


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"]
)
def test_a_certificate_file_that_is_not_there_is_named(secure: OddServer, name: str) -> None:
    with pytest.raises(UsageError) as error:
        _ask(secure.url, **{name: "/nowhere.pem"})
    assert error.value.message == f"{name}=/nowhere.pem: No such file or directory"
