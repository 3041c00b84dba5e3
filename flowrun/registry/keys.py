"""Keys that models are signed with: a pair on an elliptic curve, in two PEM files.

`cryptography` is optional (`flowrun[signing]`), and imported when a key is read.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Protocol

from flowrun.errors import AlreadyExistsError, UnsupportedError, UsageError

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_MAX_BYTES = 100_000


class PublicKey(Protocol):
    """An `EllipticCurvePublicKey` of cryptography."""

    def public_bytes(self, encoding: object, format: object) -> bytes:  # noqa: A002 - theirs
        """Write it."""


class PrivateKey(Protocol):
    """An `EllipticCurvePrivateKey` of cryptography."""

    def public_key(self) -> PublicKey:
        """Give the other one of the pair."""


def make_keys(path: Path, password: str | None = None) -> tuple[Path, Path]:
    """Make a pair of keys on the curve P-256: the private one as `path`, for its owner's eyes only.

    Args:
        path: of the private key; the public one is beside it, with `.pub` behind its name.
        password: to encrypt the private key with.

    Raises:
        AlreadyExistsError: there is a file of one of these names.
    """
    curves, serialization = _library("asymmetric.ec"), _library("serialization")
    key = curves.generate_private_key(curves.SECP256R1())
    encryption = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    public = path.with_name(f"{path.name}.pub")
    if public.exists():
        raise AlreadyExistsError(f"{public} is there already; it is not written over")
    _write_new(path, private, 0o600)
    _write_new(public, _pem(key.public_key()), 0o644)
    return path, public


def read_private_key(path: Path, password: str | None = None) -> PrivateKey:
    """Read a private key.

    Raises:
        UsageError: it can't be read, or nothing can be signed with it.
    """
    content = _read(path)
    given = None if password is None else password.encode()
    try:
        key = _library("serialization").load_pem_private_key(content, given)
    except TypeError as error:
        is_without = password is None
        raise UsageError(
            f"{path}: {error}",
            "Name the variable that holds its password: --password-env NAME" if is_without else "",
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is no private key, or the password is wrong: {error}") from error
    _check_curve(path, key.public_key())
    found: PrivateKey = key
    return found


def read_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        UsageError: it can't be read, or nothing can be checked with it.
    """
    content = _read(path)
    if b"PRIVATE KEY" in content:
        raise UsageError(f"{path} is a private key; a signature is checked with the public one")
    try:
        key = _library("serialization").load_pem_public_key(content)
    except ValueError as error:
        raise UsageError(f"{path} is no public key (PEM): {error}") from error
    _check_curve(path, key)
    found: PublicKey = key
    return found


def key_id(key: PublicKey) -> str:
    """Give how a signature names the key that it was made with."""
    return hashlib.sha256(_pem(key)).hexdigest()


def _pem(key: PublicKey) -> bytes:
    serialization = _library("serialization")
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, kind)


def _check_curve(path: Path, key: object) -> None:
    curve = getattr(getattr(key, "curve", None), "name", type(key).__name__)
    if curve not in _CURVES:
        raise UsageError(
            f"{path} is a key of another kind ({curve}): models are signed on the curves "
            f"{', '.join(sorted(_CURVES))}",
            "Make one: flowrun models keygen",
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise UsageError(f"key {path}: {error.strerror}") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except FileExistsError:
        raise AlreadyExistsError(f"{path} is there already; it is not written over") from None
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from error


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"cryptography.hazmat.primitives.{name}")
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "signatures of models need cryptography, which is not installed here",
            "Install it: pip install 'flowrun[signing]'",
        ) from error
