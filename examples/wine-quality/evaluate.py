"""Tests a model on wines it has never seen; fails if it is too far off."""

import argparse
import sys

import flowrun
import mlflow.pyfunc
import pandas as pd
from sklearn.metrics import r2_score, root_mean_squared_error

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("data")
parser.add_argument("--max-rmse", type=float, required=True)
args = parser.parse_args()

wines = pd.read_csv(args.data)
features, quality = wines.drop(columns="quality"), wines["quality"]
predicted = mlflow.pyfunc.load_model(args.model).predict(features)
rmse = root_mean_squared_error(quality, predicted)

with flowrun.start_run():
    flowrun.log_metrics({"test_rmse": rmse, "test_r2": r2_score(quality, predicted)})
    flowrun.set_tag("rows", str(len(wines)))

report = f"rmse {rmse:.4f} on {len(wines)} wines (at most {args.max_rmse} allowed)"
print(report)
with open("report.txt", "w") as file:
    file.write(report + "\n")
if rmse > args.max_rmse:
    sys.exit(f"too far off: {report}")
