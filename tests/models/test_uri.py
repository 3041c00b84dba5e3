"""Which texts name a model, and which."""

from __future__ import annotations

import pytest

from flowrun.errors import InvalidValueError
from flowrun.models.uri import (
    AliasUri,
    LoggedModelUri,
    ModelUri,
    RunUri,
    StageUri,
    VersionUri,
    is_model_uri,
    parse_model_uri,
)

MODEL_ID = "m-0123456789abcdef0123456789abcdef"
NAMED: dict[str, ModelUri] = {
    "models:/wine/3": VersionUri("wine", "3"),
    "models:/wine/3/": VersionUri("wine", "3"),
    "models:/wine/Production": StageUri("wine", "Production"),
    "models:/wine@champion": AliasUri("wine", "champion"),
    "models:/a@b@c": AliasUri("a@b", "c"),
    "models:/wine/latest": AliasUri("wine", "latest"),
    "models:/red%20wine/1": VersionUri("red wine", "1"),
    f"models:/{MODEL_ID}": LoggedModelUri(MODEL_ID),
    f"models:/{MODEL_ID}/1": VersionUri(MODEL_ID, "1"),
    "runs:/0123abc/model": RunUri("0123abc", "model"),
    "runs:/0123abc/out/model/": RunUri("0123abc", "out/model"),
}


@pytest.mark.parametrize(("uri", "expected"), NAMED.items())
def test_uri_names_a_model(uri: str, expected: ModelUri) -> None:
    assert is_model_uri(uri)
    assert parse_model_uri(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "wine",
        "models:",
        "models:/",
        "models:/wine",
        "models:/wine@",
        "models:/@champion",
        "models:/wine/1/2",
        "models://registry/wine/1",
        "models:wine/1",
        "runs:/0123abc",
        "runs:/0123abc/",
        "runs:/0123abc/../x",
        "runs:/0123abc/a/%2e%2e/x",
        "runs:/0123abc/a\\..\\x",
        "runs://host/0123abc/model",
        "runs:/../model",
        "s3://bucket/model",
    ],
)
def test_other_texts_name_none(uri: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        parse_model_uri(uri)
    assert str(error.value) == (
        f"'{uri}' names no model\n"
        "A model's URI is models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS, "
        "models:/m-ID or runs:/RUN_ID/PATH."
    )
