"""Signatures over models: made and checked by flowrun and by the released command, and broken."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flowrun.errors import AlreadyExistsError, UsageError
from flowrun.models.flavors import pyfunc
from flowrun.registry.keys import make_keys, read_private_key, read_public_key
from flowrun.registry.signing import SIGNATURE, SignatureError, check_signature, make_signature
from flowrun.serving.fetch import fetch_model
from tests.support.serving import TOKEN, serving
from tests.support.space import Space


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "model.ubj").write_bytes(b"weights")
    (folder / "code" / "loader.py").write_text("pass\n")
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_keys(tmp_path_factory.mktemp("keys") / "key.pem", "secret")


def signed(model: Path, keys: tuple[Path, Path]) -> Path:
    (model / SIGNATURE).write_bytes(make_signature(model, keys[0], "secret"))
    return model


def released(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Call the released command."""
    command = [sys.executable, "-m", "model_signing", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_released_command_checks_what_flowrun_signed(
    model: Path, keys: tuple[Path, Path]
) -> None:
    signed(model, keys)
    (model / "registered_model_meta").write_text("model_name: wine\n")  # a download by MLflow
    how = ("--signature", model / SIGNATURE, "--public_key", keys[1])
    done = released("verify", "key", model, *how)
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n"), done.stderr
    (model / "model.ubj").write_bytes(b"other")
    assert released("verify", "key", model, *how).returncode == 1


SIGNED_BY_COMMAND: dict[str, tuple[list[str], str | None]] = {
    "everything": ([], None),
    "not all of it": (["--ignore-paths", "code"], "code/loader.py is not signed"),
}


@pytest.mark.parametrize(("more", "refused"), SIGNED_BY_COMMAND.values(), ids=SIGNED_BY_COMMAND)
def test_flowrun_checks_what_the_released_command_signed(
    model: Path, tmp_path: Path, more: list[str], refused: str | None
) -> None:
    private, public = make_keys(tmp_path / "plain.pem")
    words = [str(model / word) if word == "code" else word for word in more]
    how = ("--signature", model / SIGNATURE, "--private_key", private)
    done = released("sign", "key", model, *how, *words)
    assert done.returncode == 0, done.stderr
    if refused is None:
        assert check_signature(model, public).files == ["MLmodel", "code/loader.py", "model.ubj"]
        return
    with pytest.raises(SignatureError, match=refused):
        check_signature(model, public)


def rename(model: Path) -> None:
    (model / "model.ubj").rename(model / "model.json")


CHANGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file": (
        lambda model: (model / "model.ubj").write_bytes(b"other"),
        "model is not what was signed: model.ubj differs",
    ),
    "a file is gone": (
        lambda model: (model / "code" / "loader.py").unlink(),
        "model is not what was signed: code/loader.py is missing",
    ),
    "one more": (
        lambda model: (model / "code" / "loader.cpython-311.pyc").write_bytes(b"x"),
        "model is not what was signed: code/loader.cpython-311.pyc is not signed",
    ),
    "another name": (
        rename,
        "model is not what was signed: model.ubj is missing; model.json is not signed",
    ),
    "many": (
        lambda model: [(model / f"{n}.txt").write_text("x") for n in range(9)],
        "3.txt is not signed; 4.txt is not signed; and 4 more",
    ),
    "a link": (
        lambda model: (model / "link").symlink_to("/etc/passwd"),
        "because it is a symlink",
    ),
    "no signature": (
        lambda model: (model / SIGNATURE).unlink(),
        "model is not signed: it has no model.sig\n",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGED.values(), ids=CHANGED)
def test_what_changed_is_named(
    model: Path, keys: tuple[Path, Path], change: Callable[[Path], object], message: str
) -> None:
    change(signed(model, keys))
    with pytest.raises(SignatureError) as caught:
        check_signature(model, keys[1], "model")
    assert message in str(caught.value)


def edited(key: str, value: object) -> Callable[[Path], object]:
    """Give a change of one entry of what was signed."""

    def edit(path: Path) -> None:
        bundle = json.loads(path.read_text())
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        where = statement
        *above, last = key.split("/")
        for name in above:
            where = where[name]
        where[last] = value
        payload = base64.b64encode(json.dumps(statement).encode()).decode()
        bundle["dsseEnvelope"]["payload"] = payload
        path.write_text(json.dumps(bundle))

    return edit


def without_key(path: Path) -> None:
    bundle = json.loads(path.read_text())
    bundle["verificationMaterial"] = {"certificate": {"rawBytes": "AA=="}}
    path.write_text(json.dumps(bundle))


def grown(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(60_000_000)


FORGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_text(""), "is damaged, or none of model-signing"),
    "nested": (lambda path: path.write_text("[" * 100_000), "is damaged, or none of model-signing"),
    "other JSON": (lambda path: path.write_text('{"dsseEnvelope": []}'), "is damaged, or none of"),
    "huge": (grown, "is too big to be one"),
    "a certificate": (without_key, "was not made with a key"),
    "another list": (edited("predicate/resources", []), "the signature of model does not hold"),
    "another way to hash": (edited("predicate/serialization/method", "none"), "is damaged"),
    "a weaker hash": (edited("predicate/serialization/hash_type", "crc32"), "is damaged"),
}


@pytest.mark.parametrize(("forge", "message"), FORGED.values(), ids=FORGED)
def test_a_forged_signature_does_not_hold(
    model: Path, keys: tuple[Path, Path], forge: Callable[[Path], object], message: str
) -> None:
    forge(signed(model, keys) / SIGNATURE)
    with pytest.raises(SignatureError) as caught:
        check_signature(model, keys[1], "model")
    assert message in str(caught.value)


def test_another_key_is_told_by_its_id(
    model: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    _, other = make_keys(tmp_path / "other.pem")
    with pytest.raises(SignatureError, match=r"signed with another key than .*other\.pem\.pub"):
        check_signature(signed(model, keys), other)


def rsa_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, form, plain))


WRONG_KEYS: dict[str, tuple[Callable[[Path], object], str | None, str]] = {
    "none": (str, None, "No such file or directory"),
    "text": (lambda path: path.write_text("x"), None, "is no private key"),
    "of another kind": (rsa_key, None, "is a key of another kind (RSA"),
    "without its password": (lambda path: make_keys(path, "secret"), None, "--password-env NAME"),
    "with another password": (lambda path: make_keys(path, "secret"), "x", "password is wrong"),
}


@pytest.mark.parametrize(("make", "password", "message"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_key_that_does_not_do_is_told(
    tmp_path: Path, make: Callable[[Path], object], password: str | None, message: str
) -> None:
    make(tmp_path / "key")
    with pytest.raises(UsageError) as caught:
        read_private_key(tmp_path / "key", password)
    assert message in str(caught.value)


def test_keys_are_for_their_owner_and_never_written_over(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "key.pem")
    assert private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="is a private key; a signature is checked with the pub"):
        read_public_key(private)
    for there, gone in ((public, private), (private, public)):
        content = gone.read_bytes()
        gone.unlink()
        with pytest.raises(AlreadyExistsError, match=f"{there} is there already"):
            make_keys(private)
        assert not gone.exists()
        gone.write_bytes(content)


LOG = dedent(
    """
    import flowrun, sys
    flowrun.set_tracking_uri(sys.argv[1])
    def double(model_input):
        return model_input * 2
    with flowrun.start_run():
        flowrun.pyfunc.log_model(name="m", python_model=double, registered_model_name="wine")
    """
)


def test_a_version_on_a_server_is_signed_where_its_files_are(space: Space) -> None:
    (space.path / "server").mkdir()
    with serving(space.path / "server") as server:
        space = replace(space, variables={"MLFLOW_TRACKING_TOKEN": TOKEN, "SECRET": "geheim"})
        subprocess.run([sys.executable, "-c", LOG, server.url], env=space.environment(), check=True)
        at = ("--tracking-uri", server.url)
        space.flowrun("models", "keygen", "key.pem", "--password-env", "SECRET")
        check = ("models", "verify-signature", "models:/wine/1", "--key", "key.pem.pub", *at)
        done = space.flowrun(*check, code=1)
        assert done.err.startswith("flowrun: models:/wine/1 is not signed: it has no model.sig")
        sign = ("models", "sign", "models:/wine/1", "--key", "key.pem", *at)
        space.flowrun(*sign, "--password-env", "SECRET")
        done = space.flowrun(*check)
        assert done.out.startswith("the signature of models:/wine/1 holds: 5 files, sha256 ")
        (pickled,) = server.artifacts.rglob("python_model.pkl")
        pickled.write_bytes(b"evil")
        done = space.flowrun(*check, code=1)
        assert "models:/wine/1 is not what was signed: python_model.pkl differs" in done.err


def test_a_model_that_is_not_what_was_signed_is_not_served(space: Space) -> None:
    space.flowrun("models", "keygen", "key.pem")
    pyfunc.save_model(space.path / "model", python_model=len)
    serve = ("models", "serve", "-m", "model", "-p", "0", "--env-manager", "local")
    asked = replace(space, variables={"FLOWRUN_REQUIRE_SIGNATURE": "key.pem.pub"})
    for words in (serve, ("models", "predict", "-m", "model", "--env-manager", "local")):
        done = asked.flowrun(*words, code=2)
        assert done.err.startswith("flowrun: model is not signed: it has no model.sig\n")
    space.flowrun("models", "sign", "model", "--key", "key.pem")
    with (space.path / "model" / "MLmodel").open("a") as file:
        file.write("metadata: {by: somebody else}\n")
    done = space.flowrun(*serve, "--require-signature", "key.pem.pub", code=2)
    assert done.err.startswith("flowrun: model is not what was signed: MLmodel differs\n")


def test_what_is_served_is_the_copy_whose_signature_was_checked(space: Space) -> None:
    private, public = make_keys(space.path / "key.pem")
    model = space.path / "model"
    pyfunc.save_model(model, python_model=len)
    (model / SIGNATURE).write_bytes(make_signature(model, private))
    found = fetch_model(str(model), space.path / "served", None, public)
    with (model / "python_model.pkl").open("ab") as file:
        file.write(b"evil")
    check_signature(found.folder, public)
