"""Models with the genuine client: log, autolog, register, and load by every kind of URI."""

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

X = np.array([[1.0], [2.0], [3.0]])
Y = np.array([2.0, 4.0, 6.0])


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context: object, model_input: list[float]) -> list[float]:
        return [2 * value for value in model_input]


def is_good(uri: str) -> bool:
    return bool(abs(mlflow.sklearn.load_model(uri).predict([[4.0]])[0] - 8) < 1e-9)


def logs_and_loads_by_every_uri() -> None:
    client = MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_metric("before", 1)
        info = mlflow.sklearn.log_model(
            LinearRegression().fit(X, Y), name="model", params={"depth": 3}, input_example=X
        )
        mlflow.log_metric("rmse", 0.25, model_id=info.model_id)
    model = mlflow.get_logged_model(info.model_id)
    assert model.status == "READY"
    assert model.source_run_id == run.info.run_id
    assert {metric.key: metric.value for metric in model.metrics}["rmse"] == 0.25
    assert model.params["depth"] == "3"
    outputs = mlflow.get_run(run.info.run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [info.model_id]
    assert is_good(f"models:/{info.model_id}")
    assert is_good(f"runs:/{run.info.run_id}/model")
    assert is_good(info.model_uri)

    version = mlflow.register_model(info.model_uri, "wine")
    assert version.version in ("1", 1)
    again = mlflow.register_model(f"runs:/{run.info.run_id}/model", "wine")
    assert again.version in ("2", 2)
    client.set_registered_model_alias("wine", "champion", "1")
    client.transition_model_version_stage("wine", "2", "Production")
    for uri in (
        "models:/wine/1",
        "models:/wine/2",
        "models:/wine@champion",
        "models:/wine/Production",
        "models:/wine/latest",
    ):
        assert is_good(uri), uri
    noted = mlflow.get_logged_model(info.model_id).tags["mlflow.modelVersions"]
    assert '"wine"' in noted
    found = mlflow.search_logged_models(output_format="list")
    assert info.model_id in [item.model_id for item in found]
    good = mlflow.search_logged_models(
        filter_string="metrics.rmse < 0.5",
        order_by=[{"field_name": "metrics.rmse"}],
        output_format="list",
    )
    assert [item.model_id for item in good] == [info.model_id]
    client.delete_logged_model(info.model_id)


def registers_while_logging() -> None:
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            LinearRegression().fit(X, Y), name="m", registered_model_name="logged"
        )
    assert is_good("models:/logged/1")
    copied = MlflowClient().copy_model_version("models:/logged/1", "copied")
    assert copied.version in ("1", 1)
    assert is_good("models:/copied/1")


def logs_a_python_function() -> None:
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="doubler", python_model=Doubler())
    assert mlflow.pyfunc.load_model(info.model_uri).predict([1.0, 2.0]) == [2.0, 4.0]


def loads_an_artifact_of_the_run() -> None:
    """As clients before MLflow 3 stored models: among the run's artifacts."""
    with mlflow.start_run() as run:
        mlflow.sklearn.save_model(LinearRegression().fit(X, Y), "old-model")
        mlflow.log_artifacts("old-model", "old")
    assert is_good(f"runs:/{run.info.run_id}/old")
    version = mlflow.register_model(f"runs:/{run.info.run_id}/old", "old")
    assert is_good(f"models:/old/{version.version}")


def logs_by_itself() -> None:
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        LinearRegression().fit(X, Y)
    mlflow.sklearn.autolog(disable=True)
    read = mlflow.get_run(run.info.run_id)
    assert read.data.params["fit_intercept"] == "True"
    assert "training_mean_squared_error" in read.data.metrics
    (output,) = read.outputs.model_outputs
    assert is_good(f"models:/{output.model_id}")


logs_and_loads_by_every_uri()
registers_while_logging()
logs_a_python_function()
loads_an_artifact_of_the_run()
logs_by_itself()
print("all good")
