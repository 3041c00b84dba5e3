"""`flowrun models sign`, `verify-signature` and `keygen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.errors import UsageError
from flowrun.registry.keys import make_keys
from flowrun.registry.signing import SignatureError, Signed, check_signed, sign
from flowrun.settings import Settings

EXIT_DIFFERS = 1

Uri = Annotated[
    str, typer.Argument(metavar="MODEL", help="models:/NAME/3, runs:/ID/model, or a folder.")
]
PasswordEnv = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The environment variable with the private key's password."),
]


def sign_model(
    ctx: typer.Context,
    uri: Uri,
    key: Annotated[Path, typer.Option(help="The private key, a PEM file.")],
    password_env: PasswordEnv = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Sign the files of a model, by OpenSSF's model-signing; kept beside them as model.sig."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores:
        signed = sign(stores, uri, key, _password(settings, password_env))
    typer.echo(f"signed {uri}: {_summary(signed)}")


def verify_signature(
    ctx: typer.Context,
    uri: Uri,
    key: Annotated[Path, typer.Option(help="The public key, a PEM file.")],
    tracking_uri: TrackingUri = None,
) -> None:
    """Check that the files of a model are those that were signed; else exit with 1."""
    with api.open_default_stores(settings_of(ctx, tracking_uri)) as stores:
        try:
            signed = check_signed(stores, uri, key)
        except SignatureError as error:
            typer.echo(f"flowrun: {error}", err=True)
            raise typer.Exit(EXIT_DIFFERS) from error
    typer.echo(f"the signature of {uri} holds: {_summary(signed)}")


def make_key(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="Of the private key.")] = Path("model-key.pem"),
    password_env: PasswordEnv = None,
) -> None:
    """Make a pair of keys to sign models with: FILE for you alone, FILE.pub for everybody."""
    private, public = make_keys(path, _password(settings_of(ctx), password_env))
    typer.echo(f"private key {private}: keep it where pipelines don't run")
    typer.echo(f"public key {public}")


def _password(settings: Settings, variable: str | None) -> str | None:
    if variable is None:
        return None
    if not settings.variables.get(variable):
        raise UsageError(f"--password-env: the variable {variable} is not set")
    return settings.variables[variable]


def _summary(signed: Signed) -> str:
    return f"{len(signed.files)} files, sha256 {signed.sha256}, key {signed.key[:16]}"
