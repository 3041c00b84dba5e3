"""Writes a table of made-up measurements: the same ones every time."""

import csv
import random
import sys

columns, rows = sys.argv[1].split(","), int(sys.argv[2])
random.seed(1)
with open("features.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow([*columns, "target"])
    for _ in range(rows):
        values = [random.gauss(0, 1) for _ in columns]
        writer.writerow([f"{v:.6f}" for v in [*values, sum(values)]])
print(f"{rows} rows of {', '.join(columns)}")
