"""Answers of a loaded model, beside those of MLflow's own scoring server to the same requests."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowrun.models.flavors.pyfunc import load_model
from flowrun.models.scoring.replies import Body, Reply
from flowrun.models.scoring.requests import FORMS
from flowrun.models.scoring.scorer import Scorer
from tests.serving.models import (
    CHAT,
    COLUMNS,
    GIVES,
    ROWS,
    TEXT,
    save_function,
    save_kinds,
    save_numbers,
    save_tensor,
)

SCRIPT = Path(__file__).with_name("scripts") / "genuine.py"
CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"

KINDS_ROW = {
    "flag": True,
    "small": 1,
    "big": 2**40,
    "real": 0.5,
    "text": "é",
    "time": "2024-05-01T10:00:00",
    "list": [1.0, 2.5],
    "thing": {"x": 1},
    "maybe": None,
}
SPLIT = {"columns": COLUMNS, "data": ROWS}


def _records(rows: list[list[object]] | None = None) -> list[dict[str, object]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows or ROWS]


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pandas.DataFrame(ROWS, columns=COLUMNS).to_parquet(buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class Case:
    """A request of a model."""

    model: str
    said: object
    content_type: str = "application/json"

    @property
    def body(self) -> bytes:
        """As it is sent."""
        if isinstance(self.said, bytes):
            return self.said
        return self.said.encode() if isinstance(self.said, str) else json.dumps(self.said).encode()


CASES = {
    "split": Case("numbers", {"dataframe_split": SPLIT}),
    "split in another order": Case(
        "numbers",
        {"dataframe_split": {"columns": ["c", "a", "b"], "data": [[2.0, 0.5, -1.0]]}},
    ),
    "split with index and more columns": Case(
        "numbers",
        {
            "dataframe_split": {
                "columns": ["c", "a", "b", "d"],
                "index": [7],
                "data": [[2, "0.5", -1, 9]],
            }
        },
    ),
    "split with nan": Case(
        "kinds", {"dataframe_records": [{**KINDS_ROW, "real": None, "maybe": 2}]}
    ),
    "records": Case("numbers", {"dataframe_records": _records()}),
    "records with texts of numbers": Case(
        "numbers", {"dataframe_records": _records([["1", "2", "3"]])}
    ),
    "inputs of columns": Case("numbers", {"inputs": {"a": [1.0], "b": [2.0], "c": [3.0]}}),
    "inputs of rows": Case("numbers", {"inputs": _records()}),
    "instances of rows": Case("numbers", {"instances": _records()}),
    "csv": Case("numbers", "a,b,c\n0.5,-1,2\n-0.5,0.25,-3\n", CSV),
    "csv with charset": Case("numbers", "a,b,c\n0.5,-1,2\n", f"{CSV}; charset=utf-8"),
    "parquet": Case("numbers", _parquet(), PARQUET),
    "all kinds of columns": Case("kinds", {"dataframe_records": [KINDS_ROW, KINDS_ROW]}),
    "all kinds as inputs": Case("kinds", {"inputs": [KINDS_ROW]}),
    "params": Case("kinds", {"dataframe_records": [KINDS_ROW], "params": {"depth": 5}}),
    "tensor": Case("tensor", {"inputs": [[1, 2, 3], [4, 5, 6]]}),
    "tensor as instances": Case("tensor", {"instances": [[1, 2, 3]]}),
    "tensor as a table": Case("tensor", {"dataframe_split": {"data": [[1, 2, 3]]}}),
    "dates given": Case("gives", {"inputs": ["dates"]}),
    "missing given": Case("gives", {"inputs": ["missing"]}),
    "series given": Case("gives", {"inputs": ["series"]}),
    "texts given": Case("gives", {"inputs": ["texts"]}),
    "table given": Case("gives", {"dataframe_records": [{"what": "table"}]}),
    "probabilities given": Case("gives", {"inputs": ["probabilities"]}),
    "scalars given": Case("gives", {"inputs": ["scalars"]}),
    "mapping given": Case("gives", {"inputs": ["mapping"]}),
    "bytes given": Case("gives", {"inputs": ["bytes"]}),
    "chat": Case("chat", {"messages": [{"role": "user", "content": "hello"}], "n": 2}),
    # what is refused
    "no json": Case("numbers", "{"),
    "a list": Case("numbers", [1]),
    "no form": Case("numbers", {"rows": ROWS}),
    "two forms": Case("numbers", {"inputs": ROWS, "instances": ROWS}),
    "split of a list": Case("numbers", {"dataframe_split": ROWS}),
    "split without data": Case("numbers", {"dataframe_split": {"columns": COLUMNS}}),
    "records of a mapping": Case("numbers", {"dataframe_records": {"a": 1}}),
    "ragged split": Case("numbers", {"dataframe_split": {"columns": COLUMNS, "data": [[1]]}}),
    "a text for a number": Case("numbers", {"dataframe_records": _records([["x", 1, 2]])}),
    "no date": Case("kinds", {"dataframe_records": [{**KINDS_ROW, "time": "soon"}]}),
    "no list": Case("kinds", {"dataframe_records": [{**KINDS_ROW, "list": 3}]}),
    "null for an integer": Case("kinds", {"dataframe_records": [{**KINDS_ROW, "small": None}]}),
    "tensor of another shape": Case("tensor", {"inputs": [[1, 2]]}),
    "unlike lengths": Case("numbers", {"instances": {"a": [1], "b": [1, 2], "c": [1]}}),
    "csv that is none": Case("numbers", b"\xff\xfe", CSV),
    "csv with a text": Case("numbers", "a,b,c\nx,1,2\n", CSV),
    "parquet that is none": Case("numbers", b"PAR", PARQUET),
    "other charset": Case("numbers", "a,b,c\n", f"{CSV}; charset=latin-1"),
    "other parameter": Case("numbers", "a,b,c\n", f"{CSV}; header=present"),
    "other content type": Case("numbers", "<a/>", "text/xml"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    save_numbers(folder / "numbers")
    save_kinds(folder / "kinds")
    save_tensor(folder / "tensor")
    save_function(folder / "gives", GIVES, TEXT)
    save_function(folder / "chat", CHAT, None)
    return {path.name: path for path in folder.iterdir() if path.is_dir()}


@pytest.fixture(scope="module")
def scorers(folders: Mapping[str, Path]) -> Mapping[str, Scorer]:
    return {name: Scorer(load_model(str(folder))) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def genuine(folders: Mapping[str, Path]) -> Mapping[str, tuple[int, str]]:
    """Give MLflow's answers to all cases."""
    lines = [
        json.dumps(
            {
                "folder": str(folders[case.model]),
                "content_type": case.content_type,
                "body": base64.b64encode(case.body).decode(),
            }
        )
        for case in CASES.values()
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=folders["numbers"].parent,
    )
    said = [line[7:] for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    answers = [json.loads(line) for line in said]
    return {
        name: (answer["status"], answer["body"])
        for name, answer in zip(CASES, answers, strict=True)
    }


def _answer(scorer: Scorer, case: Case) -> Reply:
    return scorer.answer([Body(case.content_type, case.body)])[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_answers_are_mlflows(
    name: str, scorers: Mapping[str, Scorer], genuine: Mapping[str, tuple[int, str]]
) -> None:
    case = CASES[name]
    ours = _answer(scorers[case.model], case)
    status, body = genuine[name]
    if status == 500:  # what a request did wrong is no failure of the server
        status = 400
    assert ours.status == status, (ours.body, body)
    if status == 200:
        # nan equals nan as a text
        assert repr(json.loads(ours.body)) == repr(json.loads(body))
    elif status == 400:
        assert set(json.loads(ours.body)) >= {"error_code", "message"}


_NAMES = st.sampled_from([*COLUMNS, *KINDS_ROW, "columns", "data", "index", "z"])
_TABLES = st.fixed_dictionaries(
    {"data": st.lists(st.lists(st.floats() | st.none() | st.text(max_size=2), max_size=4))},
    optional={"columns": st.lists(_NAMES, max_size=4), "index": st.lists(st.integers())},
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_BODIES = st.dictionaries(st.sampled_from([*FORMS, "params"]), _VALUES | _TABLES, max_size=2)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=_BODIES, model=st.sampled_from(["numbers", "kinds", "tensor"]))
@pytest.mark.filterwarnings("ignore")  # of pandas and numpy, about what they are given
def test_no_request_ends_the_process(
    scorers: Mapping[str, Scorer], said: object, model: str
) -> None:
    reply = _answer(scorers[model], Case(model, said))
    assert reply.status in {200, 400}
    assert set(json.loads(reply.body)) in ({"predictions"}, {"error_code", "message"})
