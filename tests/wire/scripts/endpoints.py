"""Prints every endpoint of the installed MLflow server, as JSON: [[method, path], ...]."""

import json
import re

from mlflow.server import app
from mlflow.server.handlers import get_endpoints

rows = {(method, path) for path, _, methods in get_endpoints() for method in methods}
for rule in app.url_map.iter_rules():
    rows |= {(method, rule.rule) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
print(
    json.dumps(
        sorted((method, re.sub(r"<(?:path:)?(\w+)>", r"{\1}", path)) for method, path in rows)
    )
)
