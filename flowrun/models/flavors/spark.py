"""Models of Spark ML, kept as Spark writes them.

Source: MLflow 3.17, mlflow/spark.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from flowrun.errors import InvalidStateError, InvalidValueError, UnsupportedError
from flowrun.models.arrays import is_frame
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
    refuse_pickle,
)
from flowrun.models.flavors.classes import full_name
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "spark"
_DATA = "sparkml"
_PREDICTION = "prediction"
_ITS_OWN = ("org.apache.spark.ml.", "pyspark.ml.")
_MAX_METADATA_BYTES = 10_000_000


class SparkModel(Protocol):
    """A `pyspark.ml.Model` or `Transformer`."""

    def save(self, path: str) -> None:
        """Write it."""

    def transform(self, dataset: object) -> Any:  # noqa: ANN401 - a frame of Spark
        """Predict."""


def save_model(
    spark_model: SparkModel, path: str | os.PathLike[str], **options: Unpack[SaveOptions]
) -> None:
    """Write a model into a folder, in MLflow's format.

    Args:
        spark_model: a fitted pipeline, model or transformer.
        path: the folder, new or empty. Spark has to see it: a cluster, on a disk that all share.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(spark_model), path, options)


def log_model(
    spark_model: SparkModel, artifact_path: str | None = None, **options: Unpack[LogOptions]
) -> ModelInfo:
    """Save a model on the server, as one of the run in progress; see `save_model`."""
    return log(_content(spark_model), artifact_path, options)


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> object:
    """Give a pipeline of Spark ML; see `loading.load_model_of`."""
    return load_model_of(NAME, model_uri, dst_path)


class SparkFlavor:
    """Loads them, into the session of Spark that there is, else into one of this process."""

    name = NAME
    loader_modules = frozenset({"mlflow.spark"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the model. Stages of other packages are loaded only where pickles are."""
        version = settings.get("pyspark_version")
        pipelines = library("pyspark.ml.pipeline", "pyspark", version)
        if str(settings.get("model_class", "")).startswith("pyspark.ml.connect."):
            raise UnsupportedError(
                f"{folder} is a model of Spark Connect", "Keep it as one of pyspark.ml."
            )
        path = inside(folder, settings.get("model_data", _DATA))
        foreign = sorted({name for name in _classes(path) if not name.startswith(_ITS_OWN)})
        if foreign:
            refuse_pickle(f"the stage {foreign[0]} of {path}", "Use stages of Spark's own.")
        _session()
        try:
            model: object = pipelines.PipelineModel.load(_place(path))
        except Exception as error:
            raise damaged(path, error, "pyspark", version) from error
        return model

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts: a list of numbers from a table."""
        del pyfunc
        return _predictor(model)  # type: ignore[arg-type]  # what `load` gave


FLAVOR = SparkFlavor()


def _content(model: SparkModel) -> Content:
    pyspark, pipelines = library("pyspark"), library("pyspark.ml.pipeline", "pyspark")
    whole = (
        model if isinstance(model, pipelines.PipelineModel) else pipelines.PipelineModel([model])
    )

    def write(folder: Path) -> Written:
        try:
            whole.save(_place(folder.resolve() / _DATA))
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidValueError(
                f"Spark can't keep this {type(model).__name__}: {error}"
            ) from error
        if not (folder / _DATA / "metadata").is_dir():
            raise InvalidStateError(
                f"Spark wrote the model elsewhere than {folder}: on another machine's disk",
                "Save into a folder that all machines of the cluster see, then log that.",
            )
        settings = {
            "model_class": full_name(whole),
            "model_data": _DATA,
            "pyspark_version": pyspark.__version__,
        }
        pyfunc = {"loader_module": "mlflow.spark", "data": _DATA}
        return Written(NAME, settings, pyfunc, frozenset({"pyspark", "pandas"}))

    return Content(NAME, write, _predictor(whole))


def _place(path: Path) -> str:
    """Give the path as Spark takes it: a URI in which nothing is escaped."""
    return f"file://{path}"


def _classes(path: Path) -> Iterator[str]:
    """Give the classes that the files of a model name, of the pipeline and of its stages."""
    for file in sorted(path.rglob("metadata/part-*")):
        inside(path, str(file.relative_to(path)))
        if file.stat().st_size > _MAX_METADATA_BYTES:
            raise InvalidValueError(f"{file}: too big for the description of a stage")
        try:
            said = json.loads(file.read_text(encoding="utf-8", errors="replace"))
            yield str(said["class"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise damaged(file, error, "pyspark", None) from error


def _session() -> Any:  # noqa: ANN401 - of Spark
    """Give the session that there is, else a small one that only this machine can reach."""
    sessions = library("pyspark.sql", "pyspark").SparkSession
    active = sessions.getActiveSession()
    if active is not None:
        return active
    builder = sessions.builder.master("local[1]").config("spark.driver.host", "127.0.0.1")
    return builder.config("spark.ui.enabled", "false").getOrCreate()


def _predictor(model: SparkModel) -> Predict:
    def predict(data: object, params: Mapping[str, object] | None) -> object:
        del params
        if not is_frame(data):
            raise InvalidValueError(f"a model of Spark takes a table, not a {type(data).__name__}")
        made = model.transform(_with_vectors(_session().createDataFrame(data), model))
        column = _PREDICTION if _PREDICTION in made.columns else made.columns[-1]
        return [_plain(row[0]) for row in made.select(column).collect()]

    return predict


def _with_vectors(frame: Any, model: SparkModel) -> Any:  # noqa: ANN401 - frames of Spark
    """Give the frame with the lists of numbers made vectors that the model takes as features."""
    stages: Sequence[Any] = getattr(model, "stages", (model,))
    arrays = {name for name, kind in frame.dtypes if kind == "array<double>"}
    wanted = {
        stage.getOrDefault("featuresCol") for stage in stages if stage.hasParam("featuresCol")
    }
    functions: ModuleType = importlib.import_module("pyspark.ml.functions")
    for name in sorted(wanted & arrays):
        frame = frame.withColumn(name, functions.array_to_vector(name))
    return frame


def _plain(value: object) -> object:
    to_array = getattr(value, "toArray", None)
    return value if to_array is None else to_array().tolist()
