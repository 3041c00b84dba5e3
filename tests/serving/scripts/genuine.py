"""Answers requests as MLflow's own scoring server does: JSON lines in, JSON lines out."""

import base64
import json
import sys
import warnings

warnings.simplefilter("ignore")

from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.pyfunc import load_model, scoring_server  # noqa: E402

models = {}
for line in sys.stdin:
    asked = json.loads(line)
    folder = asked["folder"]
    if folder not in models:
        models[folder] = load_model(folder)
    model = models[folder]
    body = base64.b64decode(asked["body"])
    try:
        came = scoring_server.invocations(
            body, asked["content_type"], model, model.metadata.get_input_schema()
        )
        answer = {"status": came.status, "body": came.response}
    except MlflowException as error:
        answer = {"status": error.get_http_status_code(), "body": error.serialize_as_json()}
    except Exception as error:  # noqa: BLE001 - the server would answer 500
        answer = {"status": 500, "body": repr(error)}
    print("ANSWER " + json.dumps(answer), flush=True)
