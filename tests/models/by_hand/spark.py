"""Models of Spark ML both ways, where pyspark and Java are: too heavy for CI.

uv venv hand && uv pip install --python hand/bin/python pyspark mlflow pandas pyarrow
PYTHONPATH=. hand/bin/python -m tests.models.by_hand.spark
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import flowrun
from flowrun.errors import FlowrunError

mlflow = importlib.import_module("mlflow")
pandas = importlib.import_module("pandas")
ml = {name: importlib.import_module(f"pyspark.ml.{name}") for name in ("feature", "regression")}


def models(session: Any) -> dict[str, tuple[Any, Any]]:  # noqa: ANN401 - of Spark
    """Give a pipeline on columns and a model on vectors, with data that they predict from."""
    columns = pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})
    frame = session.createDataFrame(columns.assign(y=columns["a"] * 2 + columns["b"]))
    vectors = ml["feature"].VectorAssembler(inputCols=["a", "b"], outputCol="features")
    regression = ml["regression"].LinearRegression(labelCol="y")
    pipeline = importlib.import_module("pyspark.ml").Pipeline(stages=[vectors, regression])
    alone = regression.fit(vectors.transform(frame))
    lists = pandas.DataFrame({"features": [[1.0, 0.0], [2.0, 1.0]]})
    return {"pipeline": (pipeline.fit(frame), columns), "model on vectors": (alone, lists)}


def both_ways(model: Any, data: Any, folder: Path) -> None:  # noqa: ANN401 - of Spark and pandas
    """Save with either tool and predict with either: four times the same."""
    flowrun.spark.save_model(model, folder / "flowrun")
    mlflow.spark.save_model(model, folder / "mlflow", pip_requirements=[])
    made = {}
    for saved in ("flowrun", "mlflow"):
        for tool in (flowrun, mlflow):
            assert type(tool.spark.load_model(str(folder / saved))).__name__ == "PipelineModel"
            answers = tool.pyfunc.load_model(str(folder / saved)).predict(data.copy())
            made[f"{saved} by {tool.__name__}"] = [round(each, 6) for each in answers]
    first, *others = made.values()
    assert all(each == first for each in others), made
    print(folder.name, first)  # noqa: T201


def refusals(folder: Path) -> None:
    """A stage of another package is refused where pickles are, and what is damaged is told."""
    (metadata,) = (folder / "flowrun" / "sparkml" / "metadata").glob("part-*")
    said = metadata.read_text()
    os.environ["FLOWRUN_ALLOW_PICKLE"] = "false"  # noqa: TID251 - as a user
    flowrun.spark.load_model(str(folder / "flowrun"))
    for text in (
        said.replace("pyspark.ml.pipeline", "evil"),
        said.replace("org.apache", "com.evil"),
    ):
        if text == said:
            continue
        metadata.write_text(text)
        try:
            flowrun.spark.load_model(str(folder / "flowrun"))
        except FlowrunError as error:
            print("refused:", str(error)[:160].replace("\n", " | "))  # noqa: T201
        else:
            raise AssertionError(f"loaded with {text}")
    metadata.write_text("{")
    try:
        flowrun.spark.load_model(str(folder / "flowrun"))
    except FlowrunError as error:
        print("refused:", str(error)[:160].replace("\n", " | "))  # noqa: T201
    else:
        raise AssertionError("loaded with damaged metadata")


def main() -> None:
    """Do all of it."""
    builder = importlib.import_module("pyspark.sql").SparkSession.builder.master("local[1]")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    folder = Path(tempfile.mkdtemp())
    try:
        for name, (model, data) in models(session).items():
            both_ways(model, data, folder / name)
        refusals(folder / "pipeline")
    finally:
        session.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
