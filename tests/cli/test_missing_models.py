"""Commands that name what the registry does not have."""

from __future__ import annotations

import pytest

from tests.support.space import Space

NO_MODEL = "`flowrun models list` shows the registered models that there are."
NEWEST = "The newest version of 'wine' is 1; @best is 1. `flowrun models show wine` lists them."
MISSING = {
    "version": ("show wine/7", "Model Version (name=wine, version=7) not found", NEWEST),
    "alias": ("promote wine@x --to Staging", "Registered model alias x not found.", NEWEST),
    "model": ("rollback beer", "Registered Model with name=beer not found", NO_MODEL),
    "version of no model": ("lineage beer/1", "(name=beer, version=1) not found", NO_MODEL),
    "model to tag": ("tag beer a=b", "Registered Model with name=beer not found", NO_MODEL),
    "folder to register": (
        "register wine m",
        "'wine' is no model: no MLmodel file is in {folder}/wine",
        "`flowrun models register MODEL NAME` takes models:/m-ID, runs:/ID/PATH or a folder.",
    ),
    "files": (
        "verify-signature models:/wine/Staging --key k",
        "'wine' has no version in stage Staging",
        NEWEST,
    ),
}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    space = Space(tmp_path_factory.mktemp("missing"))
    space.write({"m/MLmodel": "flavors: {python_function: {loader_module: x}}\n", "k": ""})
    space.flowrun("models", "register", "m", "wine")
    space.flowrun("models", "promote", "wine/1", "--alias", "best")
    return space


@pytest.mark.parametrize(("words", "message", "hint"), MISSING.values(), ids=MISSING)
def test_who_asks_in_vain_is_told_what_there_is(
    space: Space, words: str, message: str, hint: str
) -> None:
    done = space.flowrun("models", *words.split(), code=2)
    first, second = done.err.splitlines()
    assert first.endswith(message.format(folder=space.path))
    assert second == hint
