"""Trains a ridge regression and logs it with MLflow's client."""

import argparse
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("--alpha", type=float, required=True)
args = parser.parse_args()

train, test = (pd.read_csv(args.data / f"{part}.csv") for part in ("train", "test"))

with mlflow.start_run():
    model = Ridge(alpha=args.alpha).fit(train.drop(columns="target"), train["target"])
    predicted = model.predict(test.drop(columns="target"))
    rmse = root_mean_squared_error(test["target"], predicted)
    mlflow.log_metric("rmse", rmse)
    mlflow.sklearn.log_model(model, name="model")
    print(f"alpha {args.alpha}: rmse {rmse:.2f}")
