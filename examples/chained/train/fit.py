"""Fits the mean, the simplest of all models, and says how far off it is."""

import csv
import json
import sys

with open(sys.argv[1], newline="") as file:
    targets = [float(row["target"]) for row in csv.DictReader(file)]
mean = sum(targets) / len(targets)
rmse = (sum((t - mean) ** 2 for t in targets) / len(targets)) ** 0.5
with open("metrics.json", "w") as file:
    json.dump({"rows": len(targets), "rmse": rmse}, file)
print(f"rmse {rmse:.3f} on {len(targets)} rows")
