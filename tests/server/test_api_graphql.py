"""The queries of MLflow's web page, as its release sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from flowrun.tracking.entities import Dataset, DatasetInput, Metric, ModelOutput
from tests.support.serving import Served, serving

GET_RUN = """
  query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
    mlflowGetRun(input: $data) {
      apiError { helpUrl code message }
      run {
        info { runName status runUuid experimentId endTime lifecycleStage startTime userId }
        experiment { experimentId name tags { key value } artifactLocation }
        modelVersions { status version name source }
        data {
          metrics { key value step timestamp __typename }
          params { key value }
          tags { key value }
        }
        inputs {
          datasetInputs { dataset { digest name sourceType } tags { key value } }
          modelInputs { modelId }
        }
        outputs { modelOutputs { modelId step } }
        __typename
      }
    }
  }
"""
GET_EXPERIMENT = """
  query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) @component(name: "x") {
    mlflowGetExperiment(input: $input) {
      apiError { code message }
      experiment { artifactLocation creationTime experimentId lifecycleStage name }
    }
  }
"""
GET_HISTORY = """
  query GetMetricHistoryBulkInterval($data: MlflowGetMetricHistoryBulkIntervalInput!)
  @component(name: "MLflow.ExperimentRunTracking") {
    mlflowGetMetricHistoryBulkInterval(input: $data) {
      __typename
      metrics { timestamp step runId key value }
      apiError { code message }
    }
  }
"""
SEARCH_RUNS = """
  query SearchRuns($data: MlflowSearchRunsInput!) {
    mlflowSearchRuns(input: $data) {
      apiError { code message }
      runs { info { runUuid } experiment { name } modelVersions { name version } }
    }
  }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture(scope="module")
def run_id(server: Served) -> str:
    run_id = server.new_run(run_name="first", start_time=123, user_id="ada")
    points = [Metric("loss", 0.5, 7, 3), Metric("odd", float("nan"), 8)]
    server.tracking.log_batch(run_id, metrics=points, params={"a": "1"})
    wine = DatasetInput(Dataset("wine", "d1", "local", "{}"), {"mlflow.data.context": "train"})
    server.tracking.log_inputs(run_id, datasets=[wine])
    server.tracking.log_outputs(run_id, [ModelOutput("m-1", 2)])
    server.registry.create_registered_model("wine")
    server.registry.create_model_version("wine", "s3://bucket/1", run_id=run_id)
    return run_id


def ask(server: Served, query: str, **variables: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
    body = json.dumps({"operationName": "x", "query": query, "variables": variables}).encode()
    answer = server.call("POST", "/graphql", body, {"Content-Type": "application/json"})
    return answer.json | {"status": answer.status}


def test_a_run_is_given_with_all_that_its_page_shows(server: Served, run_id: str) -> None:
    answer = ask(server, GET_RUN, data={"runId": run_id})
    found = answer["data"]["mlflowGetRun"]
    assert (answer["status"], answer["errors"], found["apiError"]) == (200, None, None)
    assert found["run"] == {
        "info": {
            "runName": "first",
            "status": "RUNNING",
            "runUuid": run_id,
            "experimentId": "0",
            "endTime": None,
            "lifecycleStage": "active",
            "startTime": "123",
            "userId": "ada",
        },
        "experiment": {
            "experimentId": "0",
            "name": "Default",
            "tags": [],
            "artifactLocation": "mlflow-artifacts:/0",
        },
        "modelVersions": [
            {"status": "READY", "version": "1", "name": "wine", "source": "s3://bucket/1"}
        ],
        "data": {
            "metrics": [
                {
                    "key": "loss",
                    "value": 0.5,
                    "step": "3",
                    "timestamp": "7",
                    "__typename": "MlflowMetric",
                },
                {
                    "key": "odd",
                    "value": None,
                    "step": "0",
                    "timestamp": "8",
                    "__typename": "MlflowMetric",
                },
            ],
            "params": [{"key": "a", "value": "1"}],
            "tags": [{"key": "mlflow.runName", "value": "first"}],
        },
        "inputs": {
            "datasetInputs": [
                {
                    "dataset": {"digest": "d1", "name": "wine", "sourceType": "local"},
                    "tags": [{"key": "mlflow.data.context", "value": "train"}],
                }
            ],
            "modelInputs": [],
        },
        "outputs": {"modelOutputs": [{"modelId": "m-1", "step": "2"}]},
        "__typename": "MlflowRunExtension",
    }


def test_an_experiment_is_given(server: Served) -> None:
    found = ask(server, GET_EXPERIMENT, input={"experimentId": "0"})["data"]["mlflowGetExperiment"]
    assert found["experiment"].pop("creationTime").isdecimal()
    assert found["experiment"] == {
        "artifactLocation": "mlflow-artifacts:/0",
        "experimentId": "0",
        "lifecycleStage": "active",
        "name": "Default",
    }


def test_a_chart_gets_its_points(server: Served, run_id: str) -> None:
    data = {"runIds": [run_id], "metricKey": "loss", "maxResults": 320}
    answer = ask(server, GET_HISTORY, data=data)["data"]["mlflowGetMetricHistoryBulkInterval"]
    assert answer == {
        "__typename": "MlflowGetMetricHistoryBulkIntervalResponse",
        "metrics": [{"timestamp": "7", "step": "3", "runId": run_id, "key": "loss", "value": 0.5}],
        "apiError": None,
    }


def test_runs_are_searched(server: Served, run_id: str) -> None:
    data = {"filter": "params.a = '1'", "experimentIds": ["0"]}
    found = ask(server, SEARCH_RUNS, data=data)["data"]["mlflowSearchRuns"]["runs"]
    assert found == [
        {
            "info": {"runUuid": run_id},
            "experiment": {"name": "Default"},
            "modelVersions": [{"name": "wine", "version": "1"}],
        }
    ]


def test_what_is_not_there_is_told_as_the_page_expects_it(server: Served) -> None:
    answer = ask(server, GET_RUN, data={"runId": "0" * 32})
    assert answer["status"] == 200
    assert answer["data"]["mlflowGetRun"] == {
        "apiError": {
            "helpUrl": None,
            "code": "RESOURCE_DOES_NOT_EXIST",
            "message": f"Run with id={'0' * 32} not found",
        },
        "run": None,
    }


REFUSED = {
    "another query": (
        "{ mlflowListArtifacts(input: {}) { files { path } } }",
        "Cannot query field 'mlflowListArtifacts' on type 'Query'. This server answers "
        "mlflowGetRun, mlflowSearchRuns, mlflowGetExperiment, "
        "mlflowGetMetricHistoryBulkInterval.",
    ),
    "a mutation": ("mutation { x }", "GraphQL: expected 'query', found 'mutation'."),
    "a fragment": (
        "{ mlflowGetRun(input: {}) { ...F } }",
        "GraphQL: expected the name of a field, found '...'.",
    ),
    "two queries": ("{ a } { b }", "Only one query of a GraphQL document is answered here."),
    "no input": (
        "{ mlflowGetRun { run { info { runId } } } }",
        "Field 'mlflowGetRun' needs an argument 'input'.",
    ),
    "an open end": ("{ a { b", "The GraphQL document ends too early."),
    "an odd character": ("{ a ~ }", "Syntax error in GraphQL at character 4."),
    "an open text": ('{ a(b: "c) }', "Syntax error in GraphQL at character 7."),
    "nothing": ("{ }", "GraphQL: a selection must name a field."),
    "too deep": ("{a" * 20, "A GraphQL query may be at most 12 levels deep."),
    "a deep value": (f"{{ a(b: {'[' * 20}", "A GraphQL value may be at most 12 levels deep."),
    "too long": ("{" + " a" * 3000, "A GraphQL document may have at most 2000 words."),
}


@pytest.mark.parametrize(("query", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused_in_words(
    query: str, message: str, server: Served
) -> None:
    assert ask(server, query) == {"data": None, "errors": [message], "status": 400}


def test_values_can_stand_in_the_query_itself(server: Served, run_id: str) -> None:
    query = (
        '# a comment\nquery { it: mlflowSearchRuns(input: {experimentIds: ["0"], '
        "maxResults: 1, runViewType: ACTIVE_ONLY, pageToken: null}) { runs { info { runId } } } }"
    )
    assert ask(server, query)["data"] == {"it": {"runs": [{"info": {"runId": run_id}}]}}
