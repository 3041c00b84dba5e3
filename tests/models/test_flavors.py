"""Each flavor both ways: saved by flowrun and loaded by MLflow, and the other way round."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import numpy
import pytest

from flowrun.errors import (
    AlreadyExistsError,
    InvalidValueError,
    PermissionDeniedError,
    UnsupportedError,
)
from flowrun.models.flavors import lightgbm, pyfunc, sklearn, xgboost
from flowrun.models.flavors.base import Flavor
from flowrun.models.mlmodel import MLMODEL, MlModel, read_mlmodel
from tests.models import own
from tests.models.cases import CASES, Case, plain, table

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


def flavor_module(name: str) -> Any:  # noqa: ANN401 - a module
    return importlib.import_module(f"flowrun.models.flavors.{name}")


def save(case: Case, folder: Path, **more: object) -> Path:
    flavor_module(case.flavor).save_model(case.make(), folder, **{**case.options, **more})
    return folder


@pytest.mark.slow
def test_either_tool_does_the_same_with_what_the_other_saved(tmp_path: Path) -> None:
    for name, case in CASES.items():
        save(case, tmp_path / "flowrun" / name, input_example=case.data())
    code, number = tmp_path / "triple.py", tmp_path / "number.txt"
    code.write_text(own.code_of("mlflow"))
    number.write_text("10")
    pyfunc.save_model(tmp_path / "own" / "a script", python_model=code)
    artifacts = {"number": str(number)}
    cloudpickle.register_pickle_by_value(own)  # as if it were the user's script
    pyfunc.save_model(tmp_path / "own" / "a class", python_model=own.Adder(), artifacts=artifacts)
    pyfunc.save_model(tmp_path / "own" / "a function", python_model=own.double)
    cloudpickle.unregister_pickle_by_value(own)
    script = Path(__file__).parent / "scripts" / "both_ways.py"
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.scripts.both_ways", str(tmp_path)],
        cwd=script.parents[3],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "predictions.json").read_text())
    expected = table()["a"].tolist()
    assert said["a function"] == [2 * value for value in expected]
    assert said["a script"] == [3 * value for value in expected]
    assert said["a class"] == [value + 10 for value in expected]
    twice = pyfunc.load_model(str(tmp_path / "function")).predict(table())
    assert plain(twice) == said["a function"]
    for name, case in CASES.items():
        for tool in ("flowrun", "mlflow"):
            model = pyfunc.load_model(str(tmp_path / tool / name))
            made = plain(model.predict(case.data()))
            assert_close(made, said[name][f"saved by {tool}"], name)
            assert plain(model.input_example) == said[name]["example"] == plain(case.data()), name
        assert_close(said[name]["saved by flowrun"], said[name]["saved by mlflow"], name)
        assert_same_files(tmp_path / "flowrun" / name, tmp_path / "mlflow" / name)


def assert_close(one: object, other: object, name: str) -> None:
    """Compare predictions: sums may be added up in another order."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    numpy.testing.assert_allclose(numpy.asarray(one), numpy.asarray(other), err_msg=name)


def assert_same_files(of_flowrun: Path, of_mlflow: Path) -> None:
    """Compare what both say of a model, as far as it does not follow from who saved it."""
    ours, theirs = read_mlmodel(of_flowrun), read_mlmodel(of_mlflow)
    assert set(theirs.flavors) == set(ours.flavors)
    for flavor, settings in theirs.flavors.items():
        assert settings.keys() - ours.flavors[flavor].keys() <= UNUSED, of_flowrun.name
    assert ours.raw["saved_input_example_info"] == theirs.raw["saved_input_example_info"]
    # MLflow infers none for ONNX, and for probabilities that of classes.
    if theirs.signature is not None and of_flowrun.name != "sklearn probabilities":
        assert schemas(ours) == schemas(theirs), of_flowrun.name
    for file in ("input_example.json", "serving_input_example.json"):
        texts = [(folder / file).read_text() for folder in (of_flowrun, of_mlflow)]
        assert json.loads(texts[0]) == json.loads(texts[1])


UNUSED = {"serialization_format", "skops_trusted_types"}  # said of a booster too


def schemas(mlmodel: MlModel) -> dict[str, object]:
    said = mlmodel.signature or {}
    return {key: json.loads(str(value)) for key, value in said.items() if value is not None}


NEEDED = {
    "sklearn linear": {"scikit-learn", "skops", "numpy"},
    "sklearn from arrays": {"scikit-learn", "cloudpickle", "numpy"},
    "xgboost booster": {"xgboost-cpu"},
    "xgboost estimator": {"xgboost-cpu", "scikit-learn"},
    "lightgbm booster": {"lightgbm"},
    "onnx": {"onnx", "onnxruntime"},
    "statsmodels": {"statsmodels", "numpy", "pandas"},
}


@pytest.mark.parametrize("name", NEEDED)
def test_requirements_are_what_the_model_imports_in_exact_versions(
    tmp_path: Path, name: str
) -> None:
    folder = save(CASES[name], tmp_path / "model")
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} >= NEEDED[name]
    assert all("==" in line for line in lines)


@pytest.mark.parametrize("name", CASES)
def test_a_library_gets_its_own_object_back(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    model = case.make()
    loaded = flavor_module(case.flavor).load_model(str(save(case, tmp_path / "model")))
    assert type(loaded) is type(model)


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_model_is_told_in_one_error(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    folder = save(case, tmp_path / "model")
    (data,) = (p for p in folder.iterdir() if p.name.startswith("model.") and p.is_file())
    data.write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidValueError, match=f"{data.name} can't be loaded"):
        flavor_module(case.flavor).load_model(str(folder))


PICKLES = {"sklearn from arrays", "statsmodels"}


@pytest.mark.parametrize("name", CASES)
def test_pickles_are_refused_everywhere_by_one_setting(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    folder = str(save(case, tmp_path / "model"))
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "false")
    if name not in PICKLES:
        pyfunc.load_model(folder).predict(case.data())
        return
    for load in (pyfunc.load_model, flavor_module(case.flavor).load_model):
        with pytest.raises(PermissionDeniedError, match="which FLOWRUN_ALLOW_PICKLE forbids"):
            load(folder)


def test_skops_trusts_no_type_that_only_the_model_vouches_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["sklearn linear"]
    model = case.make()
    model.steps.append(("mine", Odd()))
    folder = tmp_path / "model"
    trusted = [f"{Odd.__module__}.Odd"]
    sklearn.save_model(model, folder, skops_trusted_types=trusted)
    assert sklearn.load_model(str(folder)).steps[-1][0] == "mine"  # type: ignore[attr-defined]
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(PermissionDeniedError, match=r"tests\.models\.test_flavors\.Odd"):
        sklearn.load_model(str(folder))


def test_what_skops_can_not_vouch_for_is_kept_as_a_pickle_with_a_warning(tmp_path: Path) -> None:
    model = CASES["sklearn linear"].make()
    model.steps.append(("mine", Odd()))
    with pytest.warns(UserWarning, match=r"vouch for them .*test_flavors\.Odd; it is kept as a p"):
        sklearn.save_model(model, tmp_path / "model")
    settings = read_mlmodel(tmp_path / "model").flavors["sklearn"]
    assert settings["serialization_format"] == "cloudpickle"
    with pytest.raises(InvalidValueError, match="skops loads only if you vouch"):
        sklearn.save_model(model, tmp_path / "other", serialization_format="skops")


class Odd:
    """A step of a pipeline that nobody knows."""

    def fit(self, x: object, y: object) -> Odd:
        del x, y
        return self

    def predict(self, x: object) -> object:
        return x


OUTSIDE = {
    "absolute": "/etc/passwd",
    "climbing": "../secret",
    "gone": "nowhere.ubj",
}


@pytest.mark.parametrize("place", OUTSIDE.values(), ids=OUTSIDE)
def test_paths_outside_of_the_model_are_not_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_text("x")
    folder = save(CASES["xgboost booster"], tmp_path / "model")
    text = (folder / MLMODEL).read_text().replace("data: model.ubj", f"data: '{place}'")
    (folder / MLMODEL).write_text(text)
    expected = "is gone" if "nowhere" in place else "names a path outside of the model"
    with pytest.raises(InvalidValueError, match=expected):
        xgboost.load_model(str(folder))


def test_a_class_of_another_library_is_not_called(tmp_path: Path) -> None:
    folder = save(CASES["xgboost booster"], tmp_path / "model")
    text = (folder / MLMODEL).read_text()
    (folder / MLMODEL).write_text(text.replace("xgboost.core.Booster", "subprocess.Popen"))
    with pytest.raises(InvalidValueError, match=r"it is a 'subprocess\.Popen', which is none of x"):
        xgboost.load_model(str(folder))


def test_a_loader_that_did_not_come_with_the_model_is_not_asked(tmp_path: Path) -> None:
    folder = save(CASES["xgboost booster"], tmp_path / "model")
    text = (folder / MLMODEL).read_text()
    (folder / MLMODEL).write_text(
        text.replace("loader_module: mlflow.xgboost", "loader_module: os")
    )
    with pytest.raises(UnsupportedError, match="wants to be loaded by 'os', which is neither"):
        pyfunc.load_model(str(folder))


def test_a_model_of_another_flavor_is_told_by_its_flavors(tmp_path: Path) -> None:
    folder = save(CASES["xgboost booster"], tmp_path / "model")
    with pytest.raises(UnsupportedError) as caught:
        lightgbm.load_model(str(folder))
    assert str(caught.value) == (
        'Model does not have the "lightgbm" flavor\n'
        f"{folder} can be loaded as: python_function, xgboost"
    )


def test_a_missing_library_is_told_with_the_way_to_get_it(tmp_path: Path) -> None:
    folder = save(CASES["xgboost booster"], tmp_path / "model")
    script = (
        "import sys; sys.modules['xgboost'] = None\n"
        "import flowrun\n"
        "try: flowrun.xgboost.load_model(sys.argv[1])\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )
    version = read_mlmodel(folder).flavors["xgboost"]["xgb_version"]
    assert done.stdout.splitlines() == [
        "this model needs xgboost, which is not installed here",
        f"Install it with: pip install 'xgboost=={version}'",
    ]


def test_a_model_is_not_saved_over_another(tmp_path: Path) -> None:
    folder = save(CASES["xgboost booster"], tmp_path / "model")
    with pytest.raises(AlreadyExistsError, match="already exists and is not empty"):
        save(CASES["xgboost booster"], folder)


def test_an_argument_that_no_flavor_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'input_exampel'"):
        save(CASES["xgboost booster"], tmp_path / "model", input_exampel=table())
    assert not (tmp_path / "model").exists()


def test_what_is_given_goes_before_what_is_found_out(tmp_path: Path) -> None:
    extra, kept = tmp_path / "notes.txt", tmp_path / "helper.py"
    extra.write_text("hello")
    kept.write_text("import networkx\n")
    folder = save(
        CASES["xgboost booster"],
        tmp_path / "model",
        extra_pip_requirements=["xgboost-cpu>=2", "rich"],
        metadata={"team": "wine", "sizes": [1, 2]},
        extra_files=[str(extra)],
        code_paths=[str(kept)],
        signature=False,
        input_example=table(),
    )
    lines = (folder / "requirements.txt").read_text().split()
    assert "xgboost-cpu>=2" in lines
    assert "rich" in lines
    assert [line for line in lines if line.startswith("networkx==")]
    mlmodel = read_mlmodel(folder)
    assert mlmodel.raw["metadata"] == {"team": "wine", "sizes": [1, 2]}
    assert mlmodel.signature is None
    assert (folder / "extra_files" / "notes.txt").read_text() == "hello"
    assert mlmodel.flavors["python_function"]["code"] == "code"
    assert pyfunc.load_model(str(folder)).predict(table()) is not None


@pytest.mark.parametrize("flavor", ["sklearn", "xgboost", "lightgbm", "onnx", "statsmodels"])
def test_a_flavor_says_its_names(flavor: str) -> None:
    found: Flavor = flavor_module(flavor).FLAVOR
    assert found.name == flavor
    assert found.loader_modules == {f"mlflow.{flavor}"}


def test_saving_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(CASES["sklearn boosted trees"], tmp_path / "model", input_example=table())
