"""Splits the wines into a training and a test set. Standard library only."""

import argparse
import csv
import json
import os
import random
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("source")
parser.add_argument("--test-size", type=float, required=True)
args = parser.parse_args()

with open(args.source, newline="") as file:
    header, *rows = csv.reader(file)
random.Random(42).shuffle(rows)
cut = round(len(rows) * args.test_size)

Path("data").mkdir()
for name, part in (("test", rows[:cut]), ("train", rows[cut:])):
    with open(f"data/{name}.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *part])

print(f"{len(rows) - cut} wines to learn from, {cut} to test with")
Path("counts.json").write_text(json.dumps({"rows": {"train": len(rows) - cut, "test": cut}}))
with open(os.environ["FLOWRUN_OUTPUT"], "a") as file:
    file.write(f"columns={len(header)}\n")
