"""Trains a model of the library that is named, with autologging turned on before its import."""

from __future__ import annotations

import importlib
import sys
import warnings

import flowrun

flowrun.autolog(log_input_examples=True)
warnings.simplefilter("error", UserWarning)  # what could not be logged is told so


def fit(name: str) -> None:
    """Train."""
    cases = importlib.import_module("tests.models.cases")
    if name == "search":
        search = importlib.import_module("sklearn.model_selection").GridSearchCV
        ridge = importlib.import_module("sklearn.linear_model").Ridge()
        x, _, sums = cases.training()
        search(ridge, {"alpha": [0.1, 1.0]}, cv=2).fit(x, sums)
    elif name == "xgboost booster with metrics":
        xgboost = importlib.import_module("xgboost")
        x, classes, _ = cases.training()
        data = xgboost.DMatrix(x, classes)
        params = {"objective": "binary:logistic", "nthread": 1}
        xgboost.train(params, data, 4, evals=[(data, "train")], verbose_eval=False)
    elif name == "lightgbm booster with metrics":
        lightgbm = importlib.import_module("lightgbm")
        x, _, sums = cases.training()
        data = lightgbm.Dataset(x, sums)
        params = {"verbose": -1, "num_threads": 1, "metric": "l2", "min_data_in_leaf": 3}
        lightgbm.train(params, data, 4, valid_sets=[data], valid_names=["train"])
    else:
        cases.CASES[name].make()


for case in sys.argv[1:]:
    with flowrun.start_run(run_name=case):
        fit(case)
