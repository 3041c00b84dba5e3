"""Models that are damaged, or made to harm: one error that says where, and nothing read or run."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest

from flowrun.errors import FlowrunError, InvalidValueError, UnsupportedError
from flowrun.models.flavors import pyfunc, sklearn
from flowrun.models.mlmodel import read_mlmodel
from flowrun.tracking.light_artifacts import ArtifactFolder
from flowrun.tracking.light_http import Http, TrackingError
from tests.models.cases import CASES, table
from tests.support.odd_server import Reply, odd_server

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a model of each kind that the tests below harm."""
    folder = tmp_path_factory.mktemp("saved")
    for name in ("xgboost booster", "sklearn linear", "onnx"):
        case = CASES[name]
        flavor = importlib.import_module(f"flowrun.models.flavors.{case.flavor}")
        flavor.save_model(case.make(), folder / case.flavor, input_example=case.data())
    return folder


@pytest.fixture
def harmed(saved: Path, tmp_path: Path) -> Callable[[str, dict[str, str]], Path]:
    """Give a copy of a model with other words in its MLmodel file."""

    def copy(flavor: str, words: dict[str, str]) -> Path:
        folder = Path(shutil.copytree(saved / flavor, tmp_path / "model"))
        text = (folder / "MLmodel").read_text()
        for old, new in words.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "MLmodel").write_text(text)
        return folder

    return copy


F = "flavors:\n  f:\n    a: 1\n"
YAML: dict[str, tuple[str, str | None]] = {
    "a key twice": (F + "flavors:\n  g:\n    b: 1\n", "MLmodel:4:1: not YAML: 'flavors' is there"),
    "a key twice in one line": ("{flavors: {f: {}, f: {}}}", "'f' is there twice"),
    "a huge number": (F + "x: " + "1" * 5000, "MLmodel: a value can't be read: Exceeds the limit"),
    "no date": (F + "x: !!timestamp 2020-99-99", "MLmodel: a value can't be read: month must be"),
    "deep": (F + "x: " + "[" * 200_000, "MLmodel: nested too deeply"),
    "deep in lines": (F + "x:\n" + "- " * 3000 + "a", "MLmodel: nested too deeply"),
    "long in one line": ("{flavors: {f: {}}, x: [" + "a, " * 160_000 + "]}", "too big to be read"),
    "many values in one line": ("{x: [" + "a, " * 60_000 + "]}", "too big to be read"),
    "a file of another kind": (F + "a" + " " * 200_000 + "b", "could not find expected ':'"),
    "a text of many lines": (F + "x: 'a\n" + "  b\n" * 100_000 + "  c'\n", None),
    "a text that never ends": (F + 'x: "a\n' + "  b\n" * 50_000, "unexpected end of stream"),
    "two documents": (F + "---\n" + F, "but found another document"),
}


@pytest.mark.parametrize(("text", "message"), YAML.values(), ids=YAML)
def test_tricks_of_yaml_are_refused_at_once(text: str, message: str | None) -> None:
    """Each took minutes, more memory than there is, or the interpreter, in one reader or other."""
    if message is None:
        assert read_mlmodel(text).flavors == {"f": {"a": 1}}
        return
    with pytest.raises(InvalidValueError) as caught:
        read_mlmodel(text)
    assert message in str(caught.value)


XGB, SKL = "xgboost", "sklearn"
DATA, LOADER = "data: model.ubj", "loader_module: mlflow.xgboost"
CODE = f"{LOADER}\n    data: model.ubj\n    code: null"
SETTINGS: dict[str, tuple[str, dict[str, str], str]] = {
    "a NUL in a path": (XGB, {DATA: 'data: "a\\0b"'}, "names no path: 'a\\x00b': embedded null"),
    "a long path": (XGB, {DATA: f"data: {'a' * 5000}"}, "File name too long"),
    "a list for a path": (
        XGB,
        {DATA: "data:\n    - a"},
        "names a path outside of the model: ['a']",
    ),
    "a device": (XGB, {DATA: "data: /dev/zero"}, "names a path outside of the model: '/dev/zero'"),
    "a folder": (XGB, {DATA: "data: ."}, "can't be loaded: XGBoostError"),
    "a function for a class": (XGB, {"core.Booster": "core.os.system"}, "has no 'xgboost.core.os."),
    "a class that is no model": (XGB, {"core.Booster": "core.DMatrix"}, "of XGBoost is no model"),
    "code above": (XGB, {"code: null": "code: .."}, "names a path outside of the model: '..'"),
    "no loader": (XGB, {CODE: "loader_module: ''\n    code: '.'"}, "wants to be loaded by ''"),
    "a relative loader": (XGB, {CODE: "loader_module: ..a\n    code: '.'"}, "loaded by '..a'"),
    "a path for a loader": (XGB, {CODE: "loader_module: /etc\n    code: '.'"}, "loaded by '/etc'"),
    "a loader of another flavor": (XGB, {LOADER: "loader_module: mlflow.sklearn"}, '"sklearn" fl'),
    "own model that is none": (XGB, {LOADER: "loader_module: mlflow.pyfunc.model"}, "of the model"),
    "a private method": (SKL, {"predict_fn: predict": "predict_fn: __init__"}, "has no '__init__'"),
    "no method": (SKL, {"predict_fn: predict": "predict_fn: n_features_in_"}, "to predict by"),
    "no format": (SKL, {"format: skops": "format: marshal"}, "format 'marshal' is not known"),
    "a library of its own": (SKL, {"mlflow.sklearn": "mlflow.evil"}, "which is neither a flavor"),
}


@pytest.mark.parametrize(("flavor", "words", "message"), SETTINGS.values(), ids=SETTINGS)
def test_what_an_mlmodel_file_should_not_say_is_refused(
    harmed: Any,  # noqa: ANN401 - the fixture
    flavor: str,
    words: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.path", [*importlib.import_module("sys").path])
    with pytest.raises((InvalidValueError, UnsupportedError)) as caught:
        pyfunc.load_model(str(harmed(flavor, words)))
    assert message in str(caught.value)


def link_to(target: str) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return link


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


HARMED_FILES: dict[str, tuple[str, str, Callable[[Path], object], str]] = {
    "a link out": (XGB, "model.ubj", link_to("/etc/passwd"), "names a path outside of the model"),
    "links in a circle": (
        XGB,
        "model.ubj",
        link_to("model.ubj"),
        "is damaged: 'model.ubj' is gone",
    ),
    "a pipe": (XGB, "model.ubj", fifo, "is neither a file nor a folder"),
    "half": (XGB, "model.ubj", half, "model.ubj can't be loaded: XGBoostError"),
    "half of skops": (SKL, "model.skops", half, "model.skops can't be loaded: BadZipFile"),
    "half of ONNX": ("onnx", "model.onnx", half, "model.onnx can't be loaded: "),
    "gone": (SKL, "model.skops", Path.unlink, "is damaged: 'model.skops' is gone"),
}


@pytest.mark.parametrize(
    ("flavor", "name", "harm", "message"), HARMED_FILES.values(), ids=HARMED_FILES
)
def test_files_that_are_not_what_they_should_be_are_told(
    harmed: Any,  # noqa: ANN401 - the fixture
    flavor: str,
    name: str,
    harm: Callable[[Path], object],
    message: str,
) -> None:
    folder = harmed(flavor, {})
    harm(folder / name)
    with pytest.raises(InvalidValueError) as caught:
        pyfunc.load_model(str(folder))
    assert message in str(caught.value)


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(
    harmed: Any,  # noqa: ANN401 - the fixture
) -> None:
    folder = harmed(SKL, {})
    with zipfile.ZipFile(folder / "model.skops", "a") as archive:
        archive.infolist()[0].file_size = 2**31 - 1  # what its list of files says
        archive.comment = b"so that the list is written again"
    with pytest.raises(
        InvalidValueError, match=r"would become 2\.0 GiB in \d+ files: far too much"
    ):
        sklearn.load_model(str(folder))


OUTSIDE = {"above": "../secret", "absolute": "/etc/hostname", "a link": "weights"}


@pytest.mark.parametrize("location", OUTSIDE.values(), ids=OUTSIDE)
def test_weights_of_onnx_lie_in_the_models_folder(
    harmed: Any,  # noqa: ANN401 - the fixture
    tmp_path: Path,
    location: str,
) -> None:
    (tmp_path / "secret").write_bytes(numpy.ones(3, "float32").tobytes())
    folder = harmed("onnx", {})
    (folder / "weights").symlink_to(tmp_path / "secret")
    model = onnx.load(str(folder / "model.onnx"))
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for load in (
        pyfunc.load_model,
        importlib.import_module("flowrun.models.flavors.onnx").load_model,
    ):
        with pytest.raises(InvalidValueError, match=r"model\.onnx can't be loaded"):
            load(str(folder))


def with_inputs(folder: Path, inputs: object) -> Path:
    """Let a model say that it takes something else."""
    lines = (folder / "MLmodel").read_text().split("\n")
    said = f"  inputs: '{json.dumps(inputs)}'"
    lines = [said if line.startswith("  inputs: ") else line for line in lines]
    (folder / "MLmodel").write_text("\n".join(lines))
    return folder


def tensor(dtype: str, shape: list[float]) -> list[dict[str, object]]:
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}]


LIES: dict[str, tuple[object, str]] = {
    "no list": ({"a": 1}, "no schema: a JSON list of objects is expected"),
    "nothing": ([], "a schema needs at least one column or tensor"),
    "no type": ([{"type": {"a": 1}, "name": "a"}], "a schema has no type"),
    "no dtype": (tensor("evil", [-1, 3]), "does not match expected dtype evil"),
    "no shape": (tensor("float64", [-7, 3]), "does not match expected shape (-7, 3)"),
    "no number": (tensor("float64", [float("inf")]), "no schema: this is no tensor"),
    "other columns": ([{"type": "double", "name": "q"}], "Model is missing inputs ['q']"),
}


@pytest.mark.parametrize(("inputs", "message"), LIES.values(), ids=LIES)
def test_a_signature_that_lies_is_told(
    harmed: Any,  # noqa: ANN401 - the fixture
    inputs: object,
    message: str,
) -> None:
    folder = with_inputs(harmed(SKL, {}), inputs)
    with pytest.raises(InvalidValueError) as caught:
        pyfunc.load_model(str(folder)).predict(table())
    assert message in str(caught.value)


EXAMPLES: dict[str, tuple[str, str, str]] = {
    "no JSON": ("{", "dataframe", "not JSON"),
    "deep": ("[" * 100_000, "dataframe", "not JSON"),
    "no table": ("[1]", "dataframe", "the input example is no table"),
    "rows too long": ('{"columns": ["a"], "data": [[1, 2]]}', "dataframe", "ValueError: 1 columns"),
    "other values": ('{"columns": ["a"], "data": [["x"]]}', "dataframe", "could not convert"),
    "ragged": ("[[1], [1, 2]]", "ndarray", "is not what the MLmodel file says"),
    "no matrix": ("{}", "sparse_matrix_csr", "KeyError: 'data'"),
    "a huge matrix": (
        '{"data": [], "indices": [], "indptr": [0], "shape": [1000000000000, 1]}',
        "sparse_matrix_csr",
        "index pointer size 1 should be 1000000000001",
    ),
    "of no kind": ("[]", "pickle", "examples of type 'pickle' are not known"),
}


@pytest.mark.parametrize(("content", "kind", "message"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_that_lies_is_told(
    harmed: Any,  # noqa: ANN401 - the fixture
    content: str,
    kind: str,
    message: str,
) -> None:
    folder = harmed(SKL, {"type: dataframe": f"type: {kind}"})
    (folder / "input_example.json").write_text(content)
    with pytest.raises(InvalidValueError) as caught:
        _ = pyfunc.load_model(str(folder)).input_example
    assert message in str(caught.value)


def test_an_example_outside_of_the_model_is_not_read(
    harmed: Any,  # noqa: ANN401 - the fixture
    tmp_path: Path,
) -> None:
    folder = harmed(SKL, {"artifact_path: input_example.json": "artifact_path: ../secret.json"})
    (tmp_path / "secret.json").write_text('{"columns": ["a"], "data": [["secret"]]}')
    assert "secret" not in str(pyfunc.load_model(str(folder)).input_example)
    link_to(str(tmp_path / "secret.json"))(folder / "input_example.json")
    with pytest.raises(InvalidValueError, match="names a path outside of the model"):
        _ = pyfunc.load_model(str(folder)).input_example


FOLDERS = Reply(body=json.dumps({"files": [{"path": "d", "is_dir": True}]}))
FILES = Reply(body=json.dumps({"files": [{"path": "model.ubj", "is_dir": False}]}))
DOWNLOADS: dict[str, tuple[list[Reply], str]] = {
    "a half": ([FILES, Reply(body="x" * 1000, cut_bytes=10)], "990 more expected"),
    "folders without end": ([FOLDERS], "names folders in folders without end"),
}


@pytest.mark.parametrize(("replies", "message"), DOWNLOADS.values(), ids=DOWNLOADS)
def test_what_a_server_does_not_send_whole_is_no_model(
    tmp_path: Path, replies: list[Reply], message: str
) -> None:
    with odd_server(replies) as server:
        folder = ArtifactFolder(Http(server.url), "mlflow-artifacts:/0/models/x")
        with pytest.raises((TrackingError, FlowrunError)) as caught:
            folder.get_folder("", str(tmp_path / "into"))
    assert message in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
