"""What a user of MLflow writes; run with MLflow's client, and with flowrun in its place."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import matplotlib.figure
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, classification_report
from sklearn.model_selection import train_test_split

mlflow = importlib.import_module(sys.argv[1])

x, y = load_breast_cancer(return_X_y=True, as_frame=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=42)

mlflow.set_experiment("breast-cancer")
with mlflow.start_run(run_name="gradient boosting") as run:
    params = {"n_estimators": 20, "learning_rate": 0.1, "random_state": 42}
    mlflow.log_params(params)
    model = GradientBoostingClassifier(**params).fit(x_train, y_train)
    for step, predicted in enumerate(model.staged_predict(x_test)):
        mlflow.log_metric("accuracy", accuracy_score(y_test, predicted), step=step)

    figure = matplotlib.figure.Figure()
    predicted = model.predict(x_test)
    ConfusionMatrixDisplay.from_predictions(y_test, predicted, ax=figure.subplots())
    mlflow.log_figure(figure, "confusion.png")
    mlflow.log_dict(classification_report(y_test, predicted, output_dict=True), "report.json")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.txt")
        report.write_text(classification_report(y_test, predicted))
        mlflow.log_artifact(str(report))

    signature = mlflow.models.infer_signature(x_train, model.predict(x_train))
    info = mlflow.sklearn.log_model(
        model,
        name="model",
        signature=signature,
        input_example=x_train.head(3),
        registered_model_name="breast-cancer",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )

loaded = mlflow.pyfunc.load_model("models:/breast-cancer/1")
assert (loaded.predict(x_test) == predicted).all()
assert (mlflow.sklearn.load_model(info.model_uri).predict(x_test) == predicted).all()
assert (mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(x_test[:3])).any()
version = mlflow.register_model(info.model_uri, "breast-cancer")
print(version.version, run.info.run_id)
