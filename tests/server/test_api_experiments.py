from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowrun.tracking.entities import Dataset, DatasetInput
from tests.support.serving import Served, serving

WINE = DatasetInput(Dataset("wine", "d1", "local", "{}"), {"mlflow.data.context": "train"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/2.0/mlflow/experiments/search-datasets",
        "/api/2.0/mlflow/experiments/search-datasets",
        "/api/2.0mlflow/experiments/search-datasets",
    ],
)
def test_datasets_are_found_by_experiment_under_every_path(path: str, server: Served) -> None:
    server.tracking.log_inputs(server.new_run(), datasets=[WINE])
    kind = {"Content-Type": "application/json"}
    answer = server.call("POST", path, b'{"experiment_ids": ["0"]}', kind)
    assert answer.json == {
        "dataset_summaries": [
            {"experiment_id": "0", "name": "wine", "digest": "d1", "context": "train"}
        ]
    }


@pytest.mark.parametrize(
    ("experiment_ids", "message"),
    {
        "none": ([], "SearchDatasets request must specify at least one experiment_id."),
        "too many": (
            ["0"] * 21,
            "SearchDatasets request cannot specify more than 20 experiment_ids. "
            "Received 21 experiment_ids.",
        ),
    }.values(),
)
def test_datasets_are_asked_for_of_1_to_20_experiments(
    experiment_ids: list[str], message: str, server: Served
) -> None:
    answer = server.post("experiments/search-datasets", {"experiment_ids": experiment_ids})
    assert answer.status == 400
    assert answer.json == {"error_code": "INVALID_PARAMETER_VALUE", "message": message}
    assert server.post("experiments/search-datasets", {"experiment_ids": ["0"] * 20}).status == 200
