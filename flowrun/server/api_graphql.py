"""The few GraphQL queries of MLflow's web page, answered by what the REST calls give.

Names in the answer are in camel case, integers are texts and a nan is null, as MLflow's schema has
them. Source: mlflow/server/graphql of MLflow 3.17, and the queries in its web page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.server.api_experiments import get_experiment
from flowrun.server.api_metrics import get_history_bulk_interval
from flowrun.server.api_model_versions import search_model_versions
from flowrun.server.api_runs import get_run, search_runs
from flowrun.server.graphql import Selected, parse_query
from flowrun.server.messages import Call, Permission, Response, Route, json_response
from flowrun.server.problems import problem_of
from flowrun.tracking.fields import Fields, JsonObject

_CAPITAL = re.compile("[A-Z]")
_LISTS = frozenset(
    {
        *("runs", "metrics", "params", "tags", "dataset_inputs", "model_inputs", "model_outputs"),
        "model_versions",
    }
)
_TYPE_NAMES = {
    "run": "MlflowRunExtension",
    "runs": "MlflowRunExtension",
    "metrics": "MlflowMetric",
    "params": "MlflowParam",
    "tags": "MlflowRunTag",
    "apiError": "ApiError",
    "info": "MlflowRunInfo",
    "data": "MlflowRunData",
}


def answer_query(call: Call) -> JsonObject | Response:
    """Answer a GraphQL query of MLflow's web page."""
    fields = call.fields
    variables = fields.json("variables")
    if not isinstance(variables, dict):
        variables = {}
    try:
        data = {
            asked.alias: _answer(call, asked)
            for asked in parse_query(fields.text("query"), variables)
        }
    except InvalidValueError as error:
        return json_response({"data": None, "errors": [str(error)]}, 400)
    return {"data": data, "errors": None}


def _answer(call: Call, asked: Selected) -> object:
    if asked.name == "__typename":
        return "Query"
    if asked.name not in _QUERIES:
        raise InvalidValueError(
            f"Cannot query field '{asked.name}' on type 'Query'. "
            f"This server answers {', '.join(_QUERIES)}."
        )
    given = asked.arguments.get("input")
    if not isinstance(given, Mapping):
        raise InvalidValueError(f"Field '{asked.name}' needs an argument 'input'.")
    try:
        found = _QUERIES[asked.name](call, {_snake(str(key)): given[key] for key in given}, asked)
    except FlowrunError as error:
        code, _ = problem_of(error)
        found = {"api_error": {"code": code, "message": str(error)}}
    return _shaped(found, asked)


def _ask(call: Call, handler: Callable[[Call], JsonObject], values: JsonObject) -> JsonObject:
    return handler(replace(call, fields=Fields(values)))


def _get_run(call: Call, values: JsonObject, asked: Selected) -> JsonObject:
    found = _ask(call, get_run, values)
    return {"run": _with_surroundings(call, found["run"], _selected(asked, "run"))}


def _search_runs(call: Call, values: JsonObject, asked: Selected) -> JsonObject:
    found = _ask(call, search_runs, values)
    wanted = _selected(asked, "runs")
    runs = found.get("runs", [])
    assert isinstance(runs, list)  # noqa: S101 - as our own JSON has it
    return {**found, "runs": [_with_surroundings(call, run, wanted) for run in runs]}


def _get_experiment(call: Call, values: JsonObject, _: Selected) -> JsonObject:
    return _ask(call, get_experiment, values)


def _get_history(call: Call, values: JsonObject, _: Selected) -> JsonObject:
    return _ask(call, get_history_bulk_interval, values)


_QUERIES: Mapping[str, Callable[[Call, JsonObject, Selected], JsonObject]] = {
    "mlflowGetRun": _get_run,
    "mlflowSearchRuns": _search_runs,
    "mlflowGetExperiment": _get_experiment,
    "mlflowGetMetricHistoryBulkInterval": _get_history,
}


def _selected(asked: Selected, name: str) -> frozenset[str]:
    """Give the names of what is asked for of a field."""
    return frozenset(
        part.name for each in asked.fields if each.name == name for part in each.fields
    )


def _with_surroundings(call: Call, run: object, wanted: frozenset[str]) -> object:
    """Give a run with its experiment and the model versions made of it, if they are asked for."""
    assert isinstance(run, dict)  # noqa: S101 - as our own JSON has it
    info = run["info"]
    if "experiment" in wanted:
        experiment_id = {"experiment_id": info["experiment_id"]}
        run = {**run, **_ask(call, get_experiment, experiment_id)}
    if "modelVersions" in wanted:
        filter_text = f"run_id = '{info['run_id']}'"
        run = {**run, **_ask(call, search_model_versions, {"filter": filter_text})}
    return run


def _shaped(value: object, asked: Selected) -> object:
    """Give of a JSON value what is asked for, in GraphQL's names and types."""
    if isinstance(value, list):
        return [_shaped(item, asked) for item in value]
    if isinstance(value, dict):
        return {part.alias: _member(value, part, asked) for part in asked.fields}
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if asked.name == "value" and value == "NaN" else value


def _member(value: JsonObject, part: Selected, asked: Selected) -> object:
    if part.name == "__typename":
        capital = asked.name[:1].upper() + asked.name[1:]
        return _TYPE_NAMES.get(
            asked.name, f"{capital}Response" if capital.startswith("Mlflow") else f"Mlflow{capital}"
        )
    name = _snake(part.name)
    return _shaped(value.get(name, [] if name in _LISTS else None), part)


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", name)


ROUTES = (Route("POST", "/graphql", Permission.READ, answer_query, is_slow=True),)
