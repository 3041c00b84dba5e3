"""Trains a gradient-boosted regression; an ordinary MLflow script."""

import argparse

import mlflow
import mlflow.sklearn
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--rounds", type=int, required=True)
args = parser.parse_args()

wines = pd.read_csv(args.data)
features, quality = wines.drop(columns="quality"), wines["quality"]
x_train, x_valid, y_train, y_valid = train_test_split(features, quality, random_state=7)

with mlflow.start_run():
    model = HistGradientBoostingRegressor(
        learning_rate=args.lr, max_iter=args.rounds, random_state=7
    )
    model.fit(x_train, y_train)
    for step, predicted in enumerate(model.staged_predict(x_valid)):
        if step % 10 == 0:
            mlflow.log_metric("rmse_by_round", root_mean_squared_error(y_valid, predicted), step)
    predicted = model.predict(x_valid)
    rmse = root_mean_squared_error(y_valid, predicted)
    mlflow.log_metrics({"rmse": rmse, "mae": mean_absolute_error(y_valid, predicted)})
    mlflow.sklearn.log_model(
        model,
        name="model",
        input_example=x_train.head(2),
        serialization_format="cloudpickle",
    )
    print(f"learning rate {args.lr}: rmse {rmse:.4f}")
