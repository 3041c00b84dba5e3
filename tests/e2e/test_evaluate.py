"""`evaluate:` steps: a release that is stopped by a threshold, or passes its champion."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.space import Space

pytestmark = pytest.mark.slow

PROJECT = {
    "project/MLproject": """\
name: houses
entry_points:
  main:
    parameters:
      factor: float
      most: {type: float, default: 50}
      release: {type: bool, default: true}
    steps:
      train:
        run: "python train.py {factor}"
        with: {factor: "${{ params.factor }}"}
        outputs: {model: {path: model, type: model}}
      check:
        evaluate:
          model: "${{ steps.train.outputs.model }}"
          data: test.csv
          type: regressor
          target: price
          baseline: models:/houses@champion
          metrics: [own.py:bias, mae]
          slices: [town]
          thresholds:
            rmse: {max: "${{ params.most }}", better_than_champion_by: 10%}
      register:
        register: {name: houses, model: "${{ steps.train.outputs.model }}", alias: champion}
        if: "${{ steps.check.outputs.beats_champion and params.release }}"
      told:
        run: "echo {passed}/{verdict}/{champion}/{mae} > told.txt"
        with:
          passed: "${{ steps.check.outputs.passed }}"
          verdict: "${{ steps.check.outputs.verdict }}"
          champion: "${{ steps.check.outputs.champion }}"
          mae: "${{ steps.check.metrics.mae }}"
        if: always()
        outputs: {text: told.txt}
""",
    # Prices are 2 * size; the model says factor * size.
    "project/test.csv": "size,town,price\n"
    + "".join(f"{size},{'AB'[size % 2]},{2 * size}\n" for size in range(1, 31)),
    "project/own.py": "def bias(predictions, targets):\n"
    "    return (predictions - targets).mean()\n",
    "project/train.py": """\
import sys
import flowrun

open("model_code.py", "w").write(f'''
from flowrun.models.python_model import PythonModel
from flowrun.models import set_model

class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["size"] * {sys.argv[1]}

set_model(Model())
''')
flowrun.pyfunc.save_model("model", python_model="model_code.py", pip_requirements=[])
""",
}


def run(space: Space, factor: float, *more: str, code: int = 0) -> str:
    given = ("-P", f"factor={factor}", *more)
    words = ("run", "project", "--env-manager", "local", *given)
    return space.flowrun(*words, code=code, MPLCONFIGDIR=str(space.path / "mpl")).text


def told(space: Space) -> str:
    """Give what the last step was told."""
    run_id = space.run_of("told")["run_id"]
    (file,) = space.home.rglob(f"{run_id}/artifacts/outputs/text/told.txt")
    return file.read_text().strip()


def test_a_champion_is_only_followed_by_a_better_model(space: Space) -> None:
    space.write(PROJECT)

    run(space, 2.5)  # the first release: nobody to compare with
    assert told(space) == "true/first//7.75"
    check = space.run_of("check")
    assert check["params"]["champion"] == "none"
    assert check["metrics"]["rmse"] == check["metrics"]["root_mean_squared_error"]
    assert check["metrics"]["bias"] == 7.75
    (folder,) = space.home.rglob(f"{check['run_id']}/artifacts")
    slices = (folder / "slices.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in slices[1:]] == [["town", "A"], ["town", "B"]]
    assert (folder / "residuals_plot.png").read_bytes().startswith(b"\x89PNG")

    said = run(space, 2.75, code=1)  # worse
    reason = "rmse is 13.3147, the champion's is 8.87647: it must be less by at least 10 % of that"
    assert "check | FAILED in" in said
    assert reason in said
    assert "Traceback" not in said
    assert told(space) == "/worse/models:/houses/1/11.625"
    failed = space.run_of("check")
    assert failed["tags"]["flowrun.error"] == reason
    assert reason in space.flowrun("runs", "show", failed["run_id"]).text
    summary = next(space.home.rglob(f"{failed['run_id']}/artifacts/evaluation.json"))
    assert json.loads(summary.read_text())["failures"] == [reason]

    said = run(space, 2.25)  # better
    assert re.search(r"check +succeeded .* rmse 4\.438 \(champion 8\.876\), \w+ ", said)
    assert told(space) == "true/better/models:/houses/1/3.875"
    assert "houses" in space.flowrun("models", "show", "houses@champion").text

    # The same model again, beside what has become its champion: another champion, another result.
    assert "it must be less by at least 10 %" in run(space, 2.25, code=1)
    assert told(space) == "/undecided/models:/houses/2/3.875"


def test_an_evaluation_is_known_by_its_champion(space: Space) -> None:
    space.write(PROJECT)
    run(space, 2.5)
    run(space, 2.25, "-P", "release=false")
    challenge = space.run_of("check")
    again = run(space, 2.25, "-P", "release=false")
    assert f"check | reused from run {challenge['run_id']}" in again

    run(space, 2.25)
    assert "check | reused" not in run(space, 2.0)  # another champion from here on
    said = space.flowrun("verify", challenge["tags"]["mlflow.parentRunId"]).text
    assert re.search(r"check +same", said), said
    assert "3.875  (champion 7.75)" in said  # of version 1, although the champion is another now


def test_what_can_not_be_evaluated_is_told_without_a_traceback(space: Space) -> None:
    space.write(PROJECT)
    text = space.read("project/MLproject").replace("target: price", "target: prize")
    space.write({"project/MLproject": text})
    said = run(space, 2.5, code=1)
    assert "targets: the data has no column 'prize'; it has size, town, price" in said
    assert "Traceback" not in said
