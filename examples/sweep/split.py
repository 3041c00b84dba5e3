"""Split points into folds: each has some points to fit, and the others to look how good that is."""

import csv
import json
import pathlib
import sys

points, count = sys.argv[1], int(sys.argv[2])
with open(points, newline="") as file:
    rows = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]

folder = pathlib.Path("folds")
folder.mkdir()
for fold in range(count):
    parts = {
        "fit": [row for place, row in enumerate(rows) if place % count != fold],
        "check": [row for place, row in enumerate(rows) if place % count == fold],
    }
    (folder / f"fold-{fold + 1}.json").write_text(json.dumps(parts))
print(f"{len(rows)} points in {count} folds")
