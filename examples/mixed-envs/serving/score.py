"""Scores a model on data, with the standard library alone; fails if it is not good enough."""

import argparse
import csv
import json
import math
import sys
from functools import reduce

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("data")
parser.add_argument("--max-rmse", type=float, required=True)
args = parser.parse_args()

with open(args.model) as file:
    coefficients = json.load(file)["coefficients"]
with open(args.data, newline="") as file:
    rows = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
errors = [reduce(lambda sum_, c: sum_ * x + c, coefficients, 0.0) - y for x, y in rows]
rmse = math.sqrt(sum(error * error for error in errors) / len(errors))

with open("metrics.json", "w") as file:
    json.dump({"test_rmse": rmse}, file)
with open("report.txt", "w") as file:
    file.write(f"degree {len(coefficients) - 1}, {len(rows)} points, rmse {rmse:.3f}\n")
print(f"rmse {rmse:.3f} on {len(rows)} points")
if rmse > args.max_rmse:
    sys.exit(f"rmse {rmse:.3f} is more than {args.max_rmse}")
