"""Models that are files of code: chains and graphs in either tool, and what a file can do wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pandas
import pytest

from flowrun.errors import InvalidValueError, PermissionDeniedError, UnsupportedError
from flowrun.models.flavors import langchain, pyfunc
from flowrun.models.flavors.scripts import run_script
from flowrun.models.mlmodel import read_mlmodel

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

CHAIN = """
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from {client}.models import set_model

def loud(request):
    text = request if isinstance(request, str) else request["question"]
    return AIMessage(content=text.upper())

set_model(RunnableLambda(loud))
"""
GRAPH = """
from __future__ import annotations
from typing import TypedDict
from flowrun.models import set_model
from langgraph.graph import END, START, StateGraph

class State(TypedDict):
    question: str
    answer: str

graph = StateGraph(State)
graph.add_node("think", lambda state: {"answer": state["question"][::-1]})
graph.add_edge(START, "think")
graph.add_edge("think", END)
set_model(graph.compile())
"""
CALLABLE = """
from flowrun.models import set_model
set_model(lambda request: len(request["question"]))
"""
ROWS = [{"question": "why"}, {"question": "how"}]


def code(folder: Path, text: str) -> Path:
    path = folder / "chain.py"
    path.write_text(text)
    return path


def saved(folder: Path, text: str, **options: object) -> Path:
    langchain.save_model(code(folder, text), folder / "model", **options)  # type: ignore[arg-type]
    return folder / "model"


def contents(made: Any) -> object:  # noqa: ANN401 - an answer, or several
    return [row["content"] for row in (made if isinstance(made, list) else [made])]


ASKED: dict[str, tuple[object, object]] = {
    "rows": (ROWS, ["WHY", "HOW"]),
    "a row": ({"question": "why"}, ["WHY"]),
    "a table": (pandas.DataFrame(ROWS), ["WHY", "HOW"]),
    "texts": (["why", "how"], ["WHY", "HOW"]),
    "a text": ("why", ["WHY"]),
    "a table of another column": (pandas.DataFrame({0: ["why"]}), ["WHY"]),
}


@pytest.mark.parametrize(("data", "expected"), ASKED.values(), ids=ASKED)
def test_a_chain_answers_each_row_as_json_can_say_it(
    tmp_path: Path, data: object, expected: object
) -> None:
    model = pyfunc.load_model(str(saved(tmp_path, CHAIN.format(client="flowrun"))))
    made = model.predict(data)
    assert contents(made) == expected
    json.dumps(made)


def test_a_graph_and_a_function_are_models_too(tmp_path: Path) -> None:
    for name, text, expected in (
        ("graph", GRAPH, [{"question": "why", "answer": "yhw"}]),
        ("callable", CALLABLE, [3]),
    ):
        (tmp_path / name).mkdir()
        model = pyfunc.load_model(str(saved(tmp_path / name, text)))
        assert model.predict([{"question": "why"}]) == expected


def test_the_signature_follows_from_the_example(tmp_path: Path) -> None:
    folder = saved(tmp_path, GRAPH, input_example=ROWS)
    model = pyfunc.load_model(str(folder))
    assert model.predict(ROWS[:1]) == [{"question": "why", "answer": "yhw"}]
    with pytest.raises(InvalidValueError, match=r"missing inputs \['question'\]"):
        model.predict([{"query": "why"}])
    required = (folder / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in required] == ["langgraph"]


@pytest.mark.slow
def test_either_tool_does_the_same_with_a_chain_that_the_other_saved(tmp_path: Path) -> None:
    chain = code(tmp_path, CHAIN.format(client="mlflow"))
    script = """
import json, sys
import mlflow
chain, folder, rows = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
mlflow.langchain.save_model(chain, f"{folder}/mlflow", input_example=rows, pip_requirements=[])
import flowrun
flowrun.langchain.save_model(chain, f"{folder}/flowrun", input_example=rows)
made = [
    tool.pyfunc.load_model(f"{folder}/{saved}").predict(data)
    for saved in ("mlflow", "flowrun") for tool in (mlflow, flowrun) for data in (rows, rows[0])
]
types = {type(tool.langchain.load_model(f"{folder}/{saved}")).__name__
         for saved in ("mlflow", "flowrun") for tool in (mlflow, flowrun)}
print(json.dumps([made, list(types)]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, chain, tmp_path, json.dumps(ROWS)],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made, types = json.loads(done.stdout.splitlines()[-1])
    assert made[:2] * 4 == made
    assert contents(made[0]) == ["WHY", "HOW"]
    assert types == ["RunnableLambda"]
    ours, theirs = (read_mlmodel(tmp_path / name) for name in ("flowrun", "mlflow"))
    assert ours.flavors["langchain"] == theirs.flavors["langchain"]
    assert ours.flavors["python_function"].keys() >= theirs.flavors["python_function"].keys()


def test_code_is_refused_where_pickles_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(saved(tmp_path, CALLABLE))
    (Path(folder) / "chain.py").write_text("raise AssertionError('this ran')")
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "0")
    for load in (pyfunc.load_model, langchain.load_model):
        with pytest.raises(PermissionDeniedError, match="can run any code when it is loaded"):
            load(folder)


def test_a_pickle_of_langchain_is_not_read(tmp_path: Path) -> None:
    folder = saved(tmp_path, CALLABLE)
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("model_code_path", "model_data"))
    with pytest.raises(UnsupportedError, match="holds a pickle of LangChain"):
        langchain.load_model(str(folder))


def test_a_model_that_is_no_file_is_told_how_it_becomes_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="a file that ends with flowrun"):
        langchain.save_model(len, tmp_path / "model")  # type: ignore[arg-type]


def test_a_file_may_hold_classes_that_look_for_their_module(tmp_path: Path) -> None:
    text = """
    from __future__ import annotations
    from dataclasses import dataclass
    from typing import get_type_hints
    from flowrun.models import set_model

    @dataclass
    class Size:
        rows: int

    get_type_hints(Size)
    set_model(lambda data: Size(len(data)).rows)
    """
    pyfunc.save_model(tmp_path / "model", python_model=code(tmp_path, dedent(text)))
    assert pyfunc.load_model(str(tmp_path / "model")).predict([1, 2]) == 2


def test_a_file_that_names_no_model_does_not_get_that_of_the_file_before(tmp_path: Path) -> None:
    theirs = code(tmp_path, "from mlflow.models import set_model\nset_model(print)\n")
    assert run_script(theirs) is print
    modules = set(sys.modules)
    for text in ("x = 1", "import flowrun.models\nflowrun.models.set_model(1)\nraise OSError"):
        with pytest.raises((InvalidValueError, OSError)):
            run_script(code(tmp_path, text))
    with pytest.raises(InvalidValueError, match="does not say what the model is"):
        run_script(code(tmp_path, "x = 1"))
    assert not {name for name in set(sys.modules) - modules if "flowrun_model" in name}
