from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from flowrun import errors
from flowrun.errors import FlowrunError
from flowrun.server.messages import Response
from flowrun.server.problems import PROBLEMS, bug_response, problem_response
from tests.support.serving import serving

RETRIED_BY_CLIENTS = {408, 429, 500, 502, 503, 504}


def said(response: Response) -> tuple[int, object]:
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


def test_no_failure_that_will_happen_again_is_one_that_clients_retry() -> None:
    retried = {kind for kind, (_, status) in PROBLEMS.items() if status in RETRIED_BY_CLIENTS}
    assert retried == {errors.StoreUnavailableError}  # which is over in a moment


def test_a_hint_is_told_too() -> None:
    assert said(problem_response(errors.NotFoundError("There is no x.", "Make one."))) == (
        404,
        {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "There is no x.\nMake one."},
    )


def test_a_subclass_is_answered_like_its_class() -> None:
    class NoSuchRunError(errors.NotFoundError):
        pass

    assert problem_response(NoSuchRunError("gone")).status == 404


@pytest.mark.parametrize("kind", FlowrunError.__subclasses__())
def test_every_error_raised_on_purpose_has_an_answer(kind: type[FlowrunError]) -> None:
    error = kind([]) if kind is errors.SpecError else kind("x")
    assert problem_response(error).status not in RETRIED_BY_CLIENTS


def test_a_bug_tells_clients_to_wait_a_second_only() -> None:
    response = bug_response()
    assert said(response) == (
        500,
        {
            "error_code": "INTERNAL_ERROR",
            "message": "The server failed on this request. Its log has the details.",
        },
    )
    assert (b"retry-after", b"1") in response.headers


def test_a_broken_store_is_told_in_words_and_not_retried(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        database = tmp_path / "flowrun.db"
        server.tracking.close()
        for path in tmp_path.glob("flowrun.db*"):
            path.unlink()
        database.write_bytes(b"this is no database" * 1000)
        answer = server.get("runs/get", run_id="0" * 32)
        assert (answer.status, answer.json["error_code"]) == (507, "INTERNAL_ERROR")


def test_a_bug_is_in_the_log_and_not_in_the_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as server, caplog.at_level(logging.ERROR, "flowrun.server"):
        run_id = server.new_run()
        object.__setattr__(server.tracking, "get_run", None)
        answer = server.get("runs/get", run_id=run_id)
        assert answer.status == 500
        assert "NoneType" not in answer.body.decode()
    assert [record.getMessage() for record in caplog.records] == [
        "GET /api/2.0/mlflow/runs/get failed"
    ]
