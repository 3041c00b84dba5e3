"""`flowrun models predict`: from files and streams, in all formats."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from flowrun.models.schema import ColSpec, DataType, Schema
from flowrun.models.scoring.csv_tables import csv_tables
from flowrun.models.scoring.requests import BadRequestError
from flowrun.models.signature import ModelSignature
from tests.serving.models import COLUMNS, NAUGHTY, save_code, save_kinds, save_numbers
from tests.support.space import Space, interrupt

COUNT = 25

LABELS = """
import pandas
from flowrun.models import set_model

def predict(model_input):
    if (model_input["n"] == 99).any():
        raise RuntimeError("no such number")
    texts = model_input["code"].astype("object")
    return pandas.DataFrame({"code": texts, "double": model_input["n"] * 2})

set_model(predict)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_numbers(folder / "numbers")
    save_kinds(folder / "kinds")
    columns = [ColSpec(DataType.string, "code"), ColSpec(DataType.long, "n")]
    save_code(folder / "labels", LABELS, ModelSignature(Schema(columns)))
    return folder


def _numbers() -> pandas.DataFrame:
    rows = [[float(n), n / 4, -1.0] for n in range(COUNT)]
    return pandas.DataFrame(rows, columns=COLUMNS)


def _write(frame: pandas.DataFrame, form: str) -> bytes:
    if form == "json":
        return json.dumps({"dataframe_split": frame.to_dict(orient="split")}).encode()
    if form == "csv":
        return str(frame.to_csv(index=False)).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def _read(content: bytes, form: str) -> list[float]:
    if form == "json":
        found: list[float] = json.loads(content)["predictions"]
        return found
    read = pandas.read_csv if form == "csv" else pandas.read_parquet
    values: list[float] = read(io.BytesIO(content))["prediction"].tolist()
    return values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "target"),
    [("csv", "csv"), ("csv", "json"), ("json", "json"), ("json", "csv"), ("parquet", "parquet")],
)
def test_predictions_are_written_in_the_format_that_is_asked_for(
    space: Space, models: Path, form: str, target: str
) -> None:
    space.write({f"in.{form}": _write(_numbers(), form)})
    # Seven rows at once: the last part has fewer.
    words = ("-i", f"in.{form}", "-o", f"out.{target}", "--rows", "7", "--env-manager", "local")
    done = space.flowrun("models", "predict", "-m", models / "numbers", *words)
    came = _read((space.path / f"out.{target}").read_bytes(), target)
    assert came == pytest.approx(_numbers().sum(axis=1).tolist())
    if form != "json":
        assert "rows predicted: 25" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_standard_input_is_predicted_to_standard_output(
    space: Space, models: Path, form: str
) -> None:
    words = ["-m", str(models / "numbers"), "-t", form, "--env-manager", "local", "--rows", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "flowrun", "models", "predict", *words],
        input=_write(_numbers(), form),
        env=space.environment(),
        capture_output=True,
        check=True,
    )
    assert _read(done.stdout, form) == pytest.approx(_numbers().sum(axis=1).tolist())


@pytest.mark.slow
def test_texts_of_digits_stay_texts(space: Space, models: Path) -> None:
    space.write({"in.csv": "code,other,n\n007,x,1\n008,x,2\n"})
    words = ("-i", "in.csv", "-o", "out.csv", "--env-manager", "local")
    space.flowrun("models", "predict", "-m", models / "labels", *words)
    assert space.read("out.csv") == "code,double\n007,2\n008,4\n"


@pytest.mark.slow
def test_params_reach_the_model(space: Space, models: Path) -> None:
    row = {"flag": True, "small": 1, "big": 2, "real": 0.5, "text": "x"}
    row |= {"time": "2024-05-01T10:00:00", "list": [1.0], "thing": {"x": 1}}
    space.write({"in.json": json.dumps({"dataframe_records": [row]})})
    words = ("-i", "in.json", "--params", '{"depth": 7}', "--env-manager", "local")
    done = space.flowrun("models", "predict", "-m", models / "kinds", *words)
    assert "{'depth': 7}" in done.json()["predictions"][0]


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "a text for a number": ("code,n\na,1\nb,2\nc,x\n", "row 3, column 'n': 'x' is no long"),
    "an empty field": ("code,n\na,1\nb,2\nc,\n", "row 3, column 'n': an empty field is no long"),
    "a fraction": ("code,n\na,1\nb,2\nc,1.5\n", "row 3, column 'n': 1.5 is no long"),
    "a line too long": ("code,n\na,1\nb,2,3,4\n", "Expected 2 fields in line 3, saw 4"),
    "all lines too long": ("code,n\na,1,2\nb,2,3\n", "the rows have more fields than the header"),
    "nothing": ("", "is no CSV file: No columns to parse from file"),
    "no text": (b"code\n\xff\n", "is no CSV file: 'utf-8' codec can't decode"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_value_is_told_by_row_and_column(name: str) -> None:
    text, said = FAULTS[name]
    source = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    schema = Schema([ColSpec(DataType.string, "code"), ColSpec(DataType.long, "n")])
    with pytest.raises(BadRequestError) as caught:
        list(csv_tables(source, schema, 2, "in.csv"))
    assert caught.value.message.startswith("in.csv")
    assert said in caught.value.message


@pytest.mark.slow
def test_failure_leaves_no_half_output(space: Space, models: Path) -> None:
    space.write({"in.csv": "code,n\na,1\nb,2\nc,99\n"})
    words = ("-i", "in.csv", "-o", "out.csv", "--rows", "2", "--env-manager", "local")
    done = space.flowrun("models", "predict", "-m", models / "labels", *words, code=2)
    assert "in.csv, row 3: the model failed: RuntimeError: no such number" in done.err
    assert sorted(path.name for path in space.path.iterdir()) == ["flowrun-home", "in.csv"]


UNUSABLE = {
    "input that is not there": (("-i", "gone.csv"), 2, "--input-path: there is no file 'gone.csv'"),
    "folder that is not there": (("-o", "no/out.csv"), 2, "--output-path: there is no folder 'no'"),
    "data of an unknown kind": (
        ("-i", "in.txt"),
        2,
        "It was read as JSON; --content-type csv or parquet says else.",
    ),
    "output that is a folder": (("-i", "in.csv", "-o", "out"), 3, "out: Is a directory"),
}


@pytest.mark.parametrize(("words", "code", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_files_that_can_not_be_used_are_told(
    space: Space, models: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    space.write({"in.txt": "code,n\na,1\n", "in.csv": "code,n\na,1\n", "out/x": ""})
    local = ("--env-manager", "local")
    done = space.flowrun("models", "predict", "-m", models / "labels", *words, *local, code=code)
    assert done.err.splitlines()[-1].endswith(said)


@pytest.mark.slow
def test_interrupted_prediction_leaves_nothing(space: Space) -> None:
    columns = Schema([ColSpec(DataType.string, "what")])
    save_code(space.path / "model", NAUGHTY, ModelSignature(columns))
    space.write({"in.csv": "what\nprint\nhang\n"})
    words = ("-i", "in.csv", "-o", "out.csv", "--rows", "1", "--env-manager", "local")
    process = space.start("models", "predict", "-m", space.path / "model", *words)
    assert process.stderr is not None
    assert process.stderr.readline() == "printed by the model\n"
    interrupt(process, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(space.path.glob("*out.csv*"))
