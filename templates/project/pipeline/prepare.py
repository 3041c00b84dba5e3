"""Writes a training and a test set; replace this by your own data."""

import argparse
import json
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--test-size", type=float, required=True)
args = parser.parse_args()

table = load_diabetes(as_frame=True).frame
train, test = train_test_split(table, test_size=args.test_size, random_state=1)

Path("data").mkdir()
train.to_csv("data/train.csv", index=False)
test.to_csv("data/test.csv", index=False)
Path("counts.json").write_text(json.dumps({"train_rows": len(train), "test_rows": len(test)}))
