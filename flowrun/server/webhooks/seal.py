"""Keeps webhooks' secrets encrypted where they are stored (Fernet, as MLflow does).

`cryptography` is optional and takes 50 ms to import: only a webhook with a secret needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Protocol

from flowrun.errors import InvalidStateError, UnsupportedError, UsageError

KEY_VARIABLE = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"

_FERNET = "cryptography.fernet"


class _Cipher(Protocol):
    def encrypt(self, data: bytes) -> bytes: ...

    def decrypt(self, token: bytes) -> bytes: ...


class Sealer:
    """Encrypts secrets and reads them again, with one key."""

    def __init__(self, find_key: Callable[[], str]) -> None:
        """Make one.

        Args:
            find_key: gives the key, 32 bytes in URL-safe base64; called when it is first needed.
        """
        self._find_key = find_key

    def seal(self, secret: str) -> str:
        """Encrypt a secret.

        Raises:
            UnsupportedError: `cryptography` is not installed. UsageError: the key is no key.
        """
        return self._cipher().encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Read a secret.

        Raises:
            InvalidStateError: it was encrypted with another key.
        """
        cipher = self._cipher()
        try:
            return cipher.decrypt(sealed.encode()).decode()
        except importlib.import_module(_FERNET).InvalidToken:
            raise InvalidStateError(
                "The webhook's secret was encrypted with another key.",
                f"Give the server the key of before in {KEY_VARIABLE}, or set the secret anew.",
            ) from None

    def _cipher(self) -> _Cipher:
        try:
            fernet = importlib.import_module(_FERNET)
        except ImportError as error:
            raise UnsupportedError(
                "Secrets of webhooks need the package cryptography, which the server lacks.",
                "Install it there: pip install 'flowrun[webhooks]'. Without a secret they work.",
            ) from error
        try:
            cipher: _Cipher = fernet.Fernet(self._find_key())
        except ValueError as error:
            raise UsageError(f"{KEY_VARIABLE} is no key: {error}") from error
        return cipher


def new_key() -> str:
    """Make a key, at random."""
    key: bytes = importlib.import_module(_FERNET).Fernet.generate_key()
    return key.decode()
