"""Parts the samples into those to learn from and those to judge by."""

import argparse
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, required=True)
args = parser.parse_args()

samples = load_breast_cancer(as_frame=True)
table = samples.data.assign(malignant=1 - samples.target)  # there, 1 is benign
train, test = train_test_split(
    table, test_size=0.3, random_state=args.seed, stratify=table["malignant"]
)
Path("data").mkdir()
train.to_csv("data/train.csv", index=False)
test.to_csv("data/test.csv", index=False)
