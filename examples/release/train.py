"""Trains boosted trees and logs the model."""

import argparse

import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier

import flowrun

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--rounds", type=int, required=True)
parser.add_argument("--depth", type=int, required=True)
args = parser.parse_args()

samples = pd.read_csv(args.data)
features, malignant = samples.drop(columns="malignant"), samples["malignant"]

model = GradientBoostingClassifier(
    n_estimators=args.rounds, max_depth=args.depth, random_state=7
).fit(features, malignant)
for step, loss in enumerate(model.train_score_):
    flowrun.log_metric("train_loss", loss, step)
flowrun.sklearn.log_model(
    model,
    name="model",
    signature=flowrun.models.infer_signature(features, model.predict(features)),
    input_example=features.head(2),
)
