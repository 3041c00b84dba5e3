import sys

import mlflow
import mlflow.sklearn
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

if __name__ == "__main__":
    alpha = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    l1_ratio = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5

    x, y = load_diabetes(return_X_y=True, as_frame=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=42)

    with mlflow.start_run():
        model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=42)
        model.fit(x_train, y_train)
        predicted = model.predict(x_test)

        print(f"ElasticNet (alpha={alpha}, l1_ratio={l1_ratio})")
        mlflow.log_param("alpha", alpha)
        mlflow.log_param("l1_ratio", l1_ratio)
        mlflow.log_metric("rmse", root_mean_squared_error(y_test, predicted))
        mlflow.log_metric("mae", mean_absolute_error(y_test, predicted))
        mlflow.log_metric("r2", r2_score(y_test, predicted))
        mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle")
