"""Signatures over the files of a model, with a key of one's own and without network.

They are made and checked by OpenSSF's model-signing, so that its command reads what is written here
and the other way round. It is optional, and takes 0.1 s to import.
Source: https://github.com/ossf/model-signing-spec; model-signing 1.1.
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.registry.files import ModelStores, find_files, local_folder
from flowrun.registry.keys import key_id, read_private_key, read_public_key

SIGNATURE = "model.sig"
"""The file of the signature, in the model's folder."""
LEFT_OUT = frozenset({SIGNATURE, "registered_model_meta"})
"""What is not signed: the signature, and the file with a model's name and version that MLflow's
client puts beside those that it downloads."""
_OF_GIT = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
"""What model-signing leaves out; no model is loaded from there."""
_MISMATCH = "Signature mismatch"
"""How model-signing's message begins if the signature is good, but of other files."""
_MAX_BYTES = 50_000_000
"""A signature lists the files of a model: one of 100,000 files takes a third of this."""
_ALL_FILES: Mapping[str, Any] = {"serialization": {"method": "files"}, "resources": []}
_SHOWN = 5


class SignatureError(InvalidValueError):
    """A model is not signed, or its signature does not hold."""


@dataclass(frozen=True)
class Signed:
    """A signature that holds."""

    key: str
    """sha256 of the public key, as the signature names it."""
    sha256: str
    """Of all files."""
    files: Sequence[str]


def sign(stores: ModelStores, uri: str, private_key: Path, password: str | None = None) -> Signed:
    """Sign the files of a model, and keep the signature beside them as `model.sig`.

    Args:
        stores: where models are.
        uri: of the model, or the path of its folder.
        private_key: a PEM file with a key on the curve P-256, P-384 or P-521.
        password: of the key, if it is encrypted.

    Raises:
        NotFoundError: there is no such model. UnsupportedError: model-signing is not installed.
        UsageError: the key is none, or the password is wrong. InvalidValueError: there is what
            can't be signed (links).
    """
    artifacts, path = find_files(stores, uri)
    with local_folder(artifacts, path, uri) as folder:
        content = make_signature(folder, private_key, password)
    artifacts.put_bytes(f"{path}/{SIGNATURE}" if path else SIGNATURE, content)
    return _signed(_statement(content, uri), str(_hint(content)))


def check_signed(
    stores: ModelStores, uri: str, public_key: Path, name: str | None = None
) -> Signed:
    """Tell whether a model's files are those that were signed; see `check_signature`."""
    artifacts, path = find_files(stores, uri)
    with local_folder(artifacts, path, uri) as folder:
        return check_signature(folder, public_key, name or uri)


def make_signature(folder: Path, private_key: Path, password: str | None = None) -> bytes:
    """Give what `model.sig` says of the files of a model as they are now; see `sign`."""
    signing = _library("model_signing.signing")
    read_private_key(private_key, password)
    given = None if password is None else password.encode()
    config = signing.Config().use_elliptic_key_signer(private_key=private_key, password=given)
    config.set_hashing_config(_hashing(_ALL_FILES))
    with TemporaryDirectory(prefix="flowrun-signature-") as temporary:
        made = Path(temporary) / SIGNATURE
        try:
            config.sign(folder.resolve(), made)
        except ValueError as error:
            raise InvalidValueError(f"{folder} can't be signed: {error}") from error
        return made.read_bytes()


def check_signature(folder: Path, public_key: Path, name: str | None = None) -> Signed:
    """Tell whether the files of a model are those that the owner of a key has signed: all of them.

    Args:
        folder: the model's.
        public_key: a PEM file.
        name: what the model is called in messages; default: its folder.

    Raises:
        SignatureError: it is not signed, or with another key, or a file differs, is missing or was
            added; names it. UnsupportedError: model-signing is not installed. UsageError: the key
            is none.
    """
    name = name or str(folder)
    key = key_id(read_public_key(public_key))
    root = folder.resolve()
    path = root / SIGNATURE
    if not path.is_file():
        raise SignatureError(
            f"{name} is not signed: it has no {SIGNATURE}",
            "Sign it: flowrun models sign MODEL --key PRIVATE_KEY",
        )
    content = _read(path, name)
    statement = _statement(content, name)
    _check_hint(_hint(content), name, key, public_key)
    config = (
        _library("model_signing.verifying")
        .Config()
        .use_elliptic_key_verifier(public_key=public_key)
    )
    config.set_hashing_config(_hashing(statement["predicate"]))
    try:
        config.verify(root, path)
    except Exception as error:
        if not str(error).startswith(_MISMATCH):
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            raise SignatureError(f"the signature of {name} does not hold: {reason}") from error
        raise _changed(name, root, statement) from error
    if _not_signed(root, statement):
        raise _changed(name, root, statement)
    return _signed(statement, key)


def _read(path: Path, name: str) -> bytes:
    if path.stat().st_size > _MAX_BYTES:
        raise SignatureError(f"the signature of {name} is too big to be one: {path}")
    return path.read_bytes()


def _hint(content: bytes) -> object:
    """Give the id of the key that a signature says it was made with; None if with no key."""
    try:
        return json.loads(content)["verificationMaterial"]["publicKey"]["hint"]
    except (ValueError, KeyError, TypeError):
        return None


def _check_hint(hint: object, name: str, key: str, public_key: Path) -> None:
    if hint is None:
        raise SignatureError(
            f"the signature of {name} was not made with a key",
            "Check one of Sigstore or of a certificate with the command model_signing.",
        )
    if hint != key:
        raise SignatureError(
            f"{name} was signed with another key than {public_key}: "
            f"{str(hint)[:16]}..., not {key[:16]}..."
        )


def _statement(content: bytes, name: str) -> Mapping[str, Any]:
    """Give what a signature says, whoever says it."""
    try:
        envelope = json.loads(content)["dsseEnvelope"]
        statement: Mapping[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
        _signed(statement, "")
        _hashing(statement["predicate"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError(
            f"the signature of {name} is damaged, or none of model-signing: "
            f"{type(error).__name__}: {error!s:.200}"
        ) from error
    return statement


def _signed(statement: Mapping[str, Any], key: str) -> Signed:
    names = sorted(_digests(statement))
    return Signed(key, str(statement["subject"][0]["digest"]["sha256"]), names)


def _digests(statement: Mapping[str, Any]) -> dict[str, str]:
    """Give the digests that were signed: of files, or of parts of files (`name:from:to`)."""
    resources = statement["predicate"]["resources"]
    return {str(each["name"]): str(each["digest"]) for each in resources}


def _hashing(predicate: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of the library
    """Give how the digests are made: as a signature says, of all files that it may not leave out.

    What MLflow puts beside downloaded files is signed all the same if it was there.
    """
    said = predicate["serialization"]
    signed = {str(each["name"]) for each in predicate["resources"]}
    config = _library("model_signing.hashing").Config()
    kind = said.get("hash_type", "sha256")
    if said["method"] == "shards":
        config.use_shard_serialization(hashing_algorithm=kind, shard_size=int(said["shard_size"]))
    elif said["method"] == "files":
        config.use_file_serialization(hashing_algorithm=kind)
    else:
        raise ValueError(f"files are hashed in a way that is not known: {said['method']!r:.80}")
    return config.set_ignored_paths(paths=sorted(LEFT_OUT - signed))


def _not_signed(root: Path, statement: Mapping[str, Any]) -> list[str]:
    """Give the files that the signature does not speak of, also those that it says to leave out."""
    in_parts = statement["predicate"]["serialization"]["method"] == "shards"
    names = {name.rsplit(":", 2)[0] if in_parts else name for name in _digests(statement)}
    found = [path.relative_to(root) for path in root.rglob("*") if not path.is_dir()]
    return sorted(
        path.as_posix()
        for path in found
        if path.as_posix() not in names | LEFT_OUT and path.parts[0] not in _OF_GIT
    )


def _changed(name: str, root: Path, statement: Mapping[str, Any]) -> SignatureError:
    """Make the error that names the files."""
    signed = _digests(statement)
    manifest = _hashing(statement["predicate"]).hash(root)
    here = {item.identifier: item.digest.digest_hex for item in manifest.resource_descriptors()}
    kinds = {
        "differs": [item for item in signed if item in here and here[item] != signed[item]],
        "is missing": [item for item in signed if item not in here],
        "is not signed": _not_signed(root, statement),
    }
    words = [f"{item} {kind}" for kind, items in kinds.items() for item in items]
    more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return SignatureError(
        f"{name} is not what was signed: {'; '.join(words[:_SHOWN])}{more}",
        "If the change is yours, look at it and sign the model again.",
    )


def _library(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "model_signing":
            raise
        raise UnsupportedError(
            "signatures of models need model-signing, which is not installed here",
            "Install it: pip install 'flowrun[signing]'",
        ) from error
