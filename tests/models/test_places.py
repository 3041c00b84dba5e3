"""Where models are: every URI of a logged model, what is gone, and flavors of other packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from flowrun.errors import FlowrunError, NotFoundError, UnsupportedError
from flowrun.models.flavors import pyfunc, xgboost
from flowrun.models.flavors.backends import find_flavor
from flowrun.models.places import local_copy
from flowrun.models.registering import register_model
from flowrun.registry.entities import Stage
from flowrun.tracking import fluent
from flowrun.tracking.entities import ModelStatus
from flowrun.tracking.light_artifacts import ArtifactFolder
from flowrun.tracking.light_http import Http, TrackingError
from tests.models.cases import CASES, plain, table
from tests.support.serving import TOKEN, Served, serving


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve, and let the calls of this process go there."""
    folder = tmp_path / "server"
    folder.mkdir()
    with serving(folder) as it:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
        fluent.set_tracking_uri(it.url)
        yield it
        fluent.set_tracking_uri("http://127.0.0.1:9")


def log(**options: Any) -> Any:  # noqa: ANN401 - as log_model
    model = CASES["xgboost booster"].make()
    with fluent.start_run():
        return xgboost.log_model(model, "trees", **options)


def test_every_uri_of_a_model_leads_to_it(server: Served, tmp_path: Path) -> None:
    info = log(registered_model_name="wine", input_example=table())
    server.registry.set_alias("wine", "champion", "1")
    server.registry.transition_stage("wine", "1", Stage.PRODUCTION, archive_existing=True)
    with fluent.start_run() as run:
        xgboost.save_model(CASES["xgboost booster"].make(), tmp_path / "plain")
        fluent.log_artifacts(str(tmp_path / "plain"), "kept")
    (folder,) = server.artifacts.rglob(f"{info.model_id}/artifacts")
    expected = plain(pyfunc.load_model(str(tmp_path / "plain")).predict(table()))
    for uri in (
        info.model_uri,
        f"runs:/{info.run_id}/trees",
        f"runs:/{run.info.run_id}/kept",
        *("models:/wine/1", "models:/wine/Production", "models:/wine@champion"),
        *("models:/wine/latest", str(folder), folder.as_uri(), info.artifact_path),
    ):
        assert plain(pyfunc.load_model(uri).predict(table())) == expected, uri
    copy = local_copy("models:/wine/1", tmp_path / "copy")
    assert copy == tmp_path / "copy"
    assert (copy / "model.ubj").read_bytes() == (folder / "model.ubj").read_bytes()


NEWEST = "The newest version of 'wine' is 1; @champion is 1. `flowrun models show wine` lists them."
NO_MODEL = "`flowrun models list` shows the registered models that there are."
NO_RUN = "`flowrun runs list` shows the runs that there are."
MISSING = {
    "models:/wine/7": ("Model Version (name=wine, version=7) not found", NEWEST),
    "models:/wine@nobody": ("Registered model alias nobody not found.", NEWEST),
    "models:/wine/Staging": ("Registered Model 'wine' has no version in stage 'Staging'.", NEWEST),
    "models:/beer/1": ("Model Version (name=beer, version=1) not found", NO_MODEL),
    f"models:/m-{'0' * 32}": (f"Logged model with ID 'm-{'0' * 32}' not found.", None),
    f"runs:/{'0' * 32}/model": (f"Run with id={'0' * 32} not found", NO_RUN),
}


def test_what_is_not_there_is_told_with_what_there_is(server: Served) -> None:
    info = log(registered_model_name="wine")
    server.registry.set_alias("wine", "champion", "1")
    for uri, (message, hint) in MISSING.items():
        with pytest.raises(NotFoundError) as raised:
            local_copy(uri)
        assert (raised.value.message, raised.value.hint) == (f"{uri}: {message}", hint)
    (folder,) = server.artifacts.rglob(f"{info.model_id}/artifacts")
    (folder / "MLmodel").unlink()
    for uri in ("models:/wine/1", "no/such/path"):
        with pytest.raises(NotFoundError, match="no MLmodel file is there"):
            local_copy(uri)
    with pytest.raises(FlowrunError, match="names no model"):
        local_copy("models:/wine/1/../../etc")


def test_a_version_can_be_made_of_what_lies_among_a_runs_artifacts(
    server: Served, tmp_path: Path
) -> None:
    xgboost.save_model(CASES["xgboost booster"].make(), tmp_path / "plain")
    with fluent.start_run() as run:
        fluent.log_artifacts(str(tmp_path / "plain"), "kept")
    version = register_model(f"runs:/{run.info.run_id}/kept", "wine", tags={"data": 2026})
    assert (version.version, version.run_id) == ("1", run.info.run_id)
    kept = server.registry.get_model_version("wine", "1")
    assert kept.tags == {"data": "2026"}
    assert pyfunc.load_model("models:/wine/1").metadata.flavors.keys() == {
        "python_function",
        "xgboost",
    }


def test_a_model_whose_files_can_not_be_stored_is_marked_as_failed(server: Served) -> None:
    (server.artifacts / "0").write_text("in the way of the folder of the experiment")
    with pytest.raises(TrackingError):
        log()
    (model,) = server.tracking.search_logged_models(["0"]).items
    assert model.status is ModelStatus.FAILED


def test_a_model_that_can_not_be_saved_leaves_nothing_on_the_server(server: Served) -> None:
    with pytest.raises(FlowrunError, match="model_format is 'ubj' or 'json'"):
        log(model_format="pickle")
    assert len(server.tracking.search_logged_models(["0"]).items) == 0


class HostileServer(Http):
    """One that names what it should not."""

    def list_artifacts(self, path: str) -> list[dict[str, Any]]:
        del path
        return [{"path": "../../evil", "is_dir": False}]


def test_a_server_can_not_write_outside_of_the_models_folder(tmp_path: Path) -> None:
    http = HostileServer("http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"names an artifact that can't be: '\.\./\.\./evil'"):
        ArtifactFolder(http, "mlflow-artifacts:/0/models/x").get_folder("", str(tmp_path / "into"))


THIRD_PARTY = dedent(
    """
    class Tiny:
        name = "tiny"
        loader_modules = frozenset({"tiny.mlflow"})

        def load(self, folder, settings):
            return float((folder / settings["file"]).read_text())

        def predictor(self, model, pyfunc):
            return lambda data, params: [model * value for value in data["a"]]

    FLAVOR = Tiny()
    """
)


def test_another_package_brings_a_flavor_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, folder = tmp_path / "site", tmp_path / "model"
    info = site / "tiny-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flowrun.flavors]\ntiny = tiny_flavor:FLAVOR\n")
    (site / "tiny_flavor.py").write_text(THIRD_PARTY)
    folder.mkdir()
    (folder / "number.txt").write_text("2")
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: tiny.mlflow\n"
        "  tiny:\n    file: number.txt\n"
    )
    with pytest.raises(UnsupportedError, match=r"loaded by 'tiny\.mlflow', which is neither"):
        pyfunc.load_model(str(folder))
    monkeypatch.syspath_prepend(str(site))
    assert pyfunc.load_model(str(folder)).predict({"a": [1, 2]}) == [2.0, 4.0]
    with pytest.raises(
        UnsupportedError, match=r"flavors here: .*, statsmodels, tiny, transformers, xgboost"
    ):
        find_flavor("prophet")
