"""Predicting with Spark: a model as a pandas UDF, for tables that one machine can't hold.

The executors need Python with flowrun, the model's libraries, pandas and pyarrow; the files of the
model are sent to them.
Source: MLflow 3.17, mlflow.pyfunc.spark_udf; Spark 4, "Pandas UDFs", iterator of multiple series.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.flavors.base import library
from flowrun.models.flavors.pyfunc import PyFuncModel, load_model
from flowrun.models.loading import PYFUNC, Found, find_model
from flowrun.models.schema import DataType, Schema
from flowrun.models.signature import ModelSignature

_SQL_TYPES = {
    DataType.boolean: "boolean",
    DataType.integer: "int",
    DataType.long: "bigint",
    DataType.float: "float",
    DataType.double: "double",
    DataType.string: "string",
}


def spark_udf(
    spark: Any,  # noqa: ANN401 - a session of pyspark
    model_uri: str,
    result_type: str | None = None,
    env_manager: str | None = None,
    params: Mapping[str, object] | None = None,
) -> Callable[..., Any]:
    """Give a model as a function of Spark's columns.

        predict = flowrun.pyfunc.spark_udf(spark, "models:/wine@champion")
        table.withColumn("quality", predict())

    Called without columns, it takes those that the signature names; else columns in the order of
    the signature, or one struct whose fields have its names.

    Args:
        spark: the session.
        model_uri: any of a model's URIs, or a path.
        result_type: Spark's name of what comes out ("double", "string"); by default what the
            signature says, else double.
        env_manager: "local", or None: the executors' own Python.
        params: what the signature lets be set.

    Raises:
        NotFoundError: there is no such model. UnsupportedError: it can't predict, or pyspark or an
            environment manager is asked for that is not there.
        InvalidValueError: what comes out is no column of Spark.
    """
    if env_manager not in (None, "local"):
        raise UnsupportedError(
            f"spark_udf has no environment manager '{env_manager}'",
            "Give the cluster an environment with the model's requirements.txt and flowrun.",
        )
    functions = library("pyspark.sql.functions", "pyspark")
    found = find_model(model_uri)
    found.settings(PYFUNC)
    said = found.mlmodel.signature
    signature = ModelSignature.from_dict(said) if said else None
    inputs = signature.inputs if signature else None
    outputs = signature.outputs if signature else None
    spark.sparkContext.addFile(str(found.folder.resolve()), recursive=True)
    predict = _predictor(found, inputs, params)
    udf: Callable[..., Any] = functions.pandas_udf(predict, result_type or _type_of(outputs))

    def apply(*columns: object) -> Any:  # noqa: ANN401 - a column of pyspark
        return udf(*(columns or _names(inputs)))

    return apply


def _predictor(
    found: Found, inputs: Schema | None, params: Mapping[str, object] | None
) -> Callable[[Any], Iterator[Any]]:
    """Give what the executors call: with parts of the columns, one after the other."""
    name = found.folder.resolve().name
    names = list(inputs.input_names()) if inputs is not None and inputs.has_names else None
    given = dict(params) if params else None

    def predict(parts: Any) -> Iterator[Any]:  # noqa: ANN401 - of pandas
        model = _loaded(name)
        for part in parts:
            yield _column(model.predict(_frame(part, names), given))

    series: Any = importlib.import_module("pandas").Series
    # pandas_udf reads from these what it gets and gives.
    predict.__annotations__ = {
        "parts": Iterator[tuple[series, ...]],
        "return": Iterator[series],
    }
    return predict


@lru_cache(maxsize=4)
def _loaded(name: str) -> PyFuncModel:
    """Load a model that was sent to this executor; once for each of its processes."""
    files = library("pyspark").SparkFiles
    return load_model(str(Path(files.get(name))))


def _frame(part: Any, names: Sequence[str | int] | None) -> object:  # noqa: ANN401 - of pandas
    """Give columns as one table; a struct is a table already."""
    pandas: Any = importlib.import_module("pandas")
    columns = list(part) if isinstance(part, tuple) else [part]
    if len(columns) == 1 and isinstance(columns[0], pandas.DataFrame):
        frame: object = columns[0]
        return frame
    if names is not None and len(names) != len(columns):
        raise InvalidValueError(
            f"the model takes {len(names)} columns ({names}), and {len(columns)} are given"
        )
    used = names if names is not None else [str(number) for number in range(len(columns))]
    made: object = pandas.DataFrame(dict(zip(used, columns)))
    return made


def _column(made: object) -> object:
    pandas: Any = importlib.import_module("pandas")
    if isinstance(made, pandas.DataFrame):
        column: object = made.iloc[:, 0]
        return column
    return pandas.Series(list(made)) if isinstance(made, (list, tuple)) else pandas.Series(made)


def _names(inputs: Schema | None) -> list[str]:
    if inputs is None or not inputs.has_names:
        raise InvalidValueError(
            "the model's signature names no columns", "Give them: predict('a', 'b')."
        )
    # Quoted, or a dot in a name would lead into a struct.
    return ["`" + str(name).replace("`", "``") + "`" for name in inputs.input_names()]


def _type_of(outputs: Schema | None) -> str:
    if outputs is None or not outputs.columns:
        return "double"
    kind = outputs.columns[0].kind
    if not isinstance(kind, DataType) or kind not in _SQL_TYPES:
        raise InvalidValueError(
            f"what the model gives ({kind}) is no column of Spark by itself",
            "Say what it is to be: result_type='string'.",
        )
    return _SQL_TYPES[kind]
