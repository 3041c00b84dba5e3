"""Small models of each library, the same at each call, with data that they predict from."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A model to save."""

    flavor: str
    make: Callable[[], Any]
    frame: bool = True
    """It predicts from a table; else from an array."""
    options: Mapping[str, object] = field(default_factory=dict)

    def data(self) -> Any:  # noqa: ANN401 - of pandas or numpy
        """Give what it predicts from: 6 rows of 3 columns."""
        return table() if self.frame else table().to_numpy()


def table() -> Any:  # noqa: ANN401 - of pandas
    """Give 6 rows of 3 columns."""
    pandas, numpy = importlib.import_module("pandas"), importlib.import_module("numpy")
    values = numpy.random.default_rng(0).normal(size=(6, 3))
    return pandas.DataFrame(values, columns=["a", "b", "c"])


def plain(made: Any) -> object:  # noqa: ANN401 - of any library
    """Give a prediction as JSON has it."""
    if isinstance(made, dict):
        return {name: plain(item) for name, item in made.items()}
    return made.to_numpy().tolist() if hasattr(made, "to_numpy") else made.tolist()


def training() -> tuple[Any, Any, Any]:
    """Give a table of 60 rows, classes and numbers for it."""
    pandas, numpy = importlib.import_module("pandas"), importlib.import_module("numpy")
    values = numpy.random.default_rng(1).normal(size=(60, 3))
    sums = values.sum(axis=1)
    return pandas.DataFrame(values, columns=["a", "b", "c"]), (sums > 0).astype(int), sums


def _sklearn(module: str, name: str, *, numbers: bool = False, **params: object) -> Any:  # noqa: ANN401
    x, classes, sums = training()
    estimator = getattr(importlib.import_module(f"sklearn.{module}"), name)(**params)
    return estimator.fit(x, sums if numbers else classes)


def _pipeline() -> Any:  # noqa: ANN401
    pipeline = importlib.import_module("sklearn.pipeline")
    scaler = importlib.import_module("sklearn.preprocessing").StandardScaler()
    model = importlib.import_module("sklearn.linear_model").LogisticRegression()
    x, classes, _ = training()
    return pipeline.make_pipeline(scaler, model).fit(x, classes)


def _xgb_booster() -> Any:  # noqa: ANN401
    xgboost = importlib.import_module("xgboost")
    x, classes, _ = training()
    params = {"objective": "binary:logistic", "nthread": 1}
    return xgboost.train(params, xgboost.DMatrix(x, classes), 4)


def _xgb_classifier() -> Any:  # noqa: ANN401
    x, classes, _ = training()
    kind = importlib.import_module("xgboost").XGBClassifier
    return kind(n_estimators=4, n_jobs=1).fit(x, classes)


def _lgb_booster() -> Any:  # noqa: ANN401
    lightgbm = importlib.import_module("lightgbm")
    x, _, sums = training()
    params = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 3}
    return lightgbm.train(params, lightgbm.Dataset(x, sums), 4)


def _lgb_regressor() -> Any:  # noqa: ANN401
    x, _, sums = training()
    kind = importlib.import_module("lightgbm").LGBMRegressor
    return kind(n_estimators=4, n_jobs=1, verbose=-1, min_child_samples=3).fit(x, sums)


def _onnx() -> Any:  # noqa: ANN401
    onnx, numpy = importlib.import_module("onnx"), importlib.import_module("numpy")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = numpy.array([[1.0], [2.0], [3.0]], dtype="float32")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", kind, [None, 3])],
        [helper.make_tensor_value_info("y", kind, [None, 1])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def _ols() -> Any:  # noqa: ANN401
    x, _, sums = training()
    return importlib.import_module("statsmodels.api").OLS(sums, x).fit()


CASES: dict[str, Case] = {
    "sklearn linear": Case("sklearn", _pipeline),
    "sklearn boosted trees": Case(
        "sklearn",
        lambda: _sklearn("ensemble", "GradientBoostingClassifier", n_estimators=3, random_state=0),
        options={"skops_trusted_types": ["sklearn.tree._tree.Tree"]},
    ),
    "sklearn from arrays": Case(
        "sklearn",
        lambda: _sklearn("linear_model", "Ridge", numbers=True),
        options={"serialization_format": "cloudpickle"},
    ),
    "sklearn probabilities": Case(
        "sklearn", _pipeline, options={"pyfunc_predict_fn": "predict_proba"}
    ),
    "xgboost booster": Case("xgboost", _xgb_booster),
    "xgboost estimator": Case("xgboost", _xgb_classifier, options={"model_format": "json"}),
    "lightgbm booster": Case("lightgbm", _lgb_booster),
    "lightgbm estimator": Case("lightgbm", _lgb_regressor),
    "onnx": Case("onnx", _onnx, frame=False),
    "statsmodels": Case("statsmodels", _ols),
}
