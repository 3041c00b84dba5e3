"""The command of an `evaluate:` step: the light client and the libraries of its environment."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.fluent.light import Light
from tests.support.serving import TOKEN, serving

LIBRARIES = (
    *("sklearn", "numpy", "numpy.libs", "scipy", "scipy.libs", "scikit_learn.libs", "joblib"),
    *("threadpoolctl.py", "narwhals", "packaging", "pandas", "pandas.libs", "dateutil", "six.py"),
    *("pytz", "tzdata", "cloudpickle"),
)

SCRIPT = """
import sys, warnings
from flowrun.models.evaluation.command import main
warnings.simplefilter("always")
code = main({words!r})
sys.stdout.flush()
sys.exit(code)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a folder of packages without matplotlib, sacrebleu and rouge-score."""
    folder = tmp_path / "site"
    folder.mkdir()
    packages = Path(str(importlib.import_module("sklearn").__file__)).parents[1]
    for name in LIBRARIES:
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder


def test_a_step_evaluates_with_the_libraries_of_its_environment(tmp_path: Path, site: Path) -> None:
    (tmp_path / "data.csv").write_text("y,p,t\n1,1,a\n0,1,b\n1,1,c\n0,0,d\n")
    light, output = Light.copy(tmp_path), tmp_path / "output"
    with serving(tmp_path) as server:
        run_id = server.new_run()
        variables = {
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_RUN_ID": run_id,
            "FLOWRUN_OUTPUT": str(output),
        }

        def run(*words: str) -> tuple[int, str, dict[str, str]]:
            output.unlink(missing_ok=True)
            given = ["--data", "data.csv", "--predictions", "p", "--target", "y", *words]
            done = light.run(SCRIPT.format(words=given), variables, site)
            assert output.exists(), done.stderr
            lines = output.read_text().splitlines()
            return done.returncode, done.stderr, dict(line.split("=", 1) for line in lines)

        code, said, values = run("--type", "classifier", "--threshold.accuracy.min", "0.7")
        assert code == 0, said
        assert "matplotlib is not installed here: plots are left out, their data are kept" in said
        assert values == {"passed": "true", "verdict": "", "beats_champion": "", "champion": ""}
        metrics = server.tracking.get_run(run_id).metrics
        assert metrics["accuracy"].value == metrics["accuracy_score"].value == 0.75
        names = {path.name for path in server.artifacts.rglob("*") if path.is_file()}
        assert {"confusion_matrix_data.csv", "per_class_metrics.csv", "evaluation.json"} <= names
        assert "confusion_matrix.png" not in names

        code, said, values = run("--type", "classifier", "--threshold.accuracy.min", "0.9")
        reason = "accuracy is 0.75, but must be at least 0.9"
        assert (code, values["failure"], values["passed"]) == (1, reason, "")

        code, said, values = run("--type", "text", "--target", "t", "--predictions", "t")
        assert code == 2
        assert said == (
            "flowrun: this evaluation needs rouge-score, which is not installed here\n"
            "Add it to the step's environment, or install it with: pip install rouge-score\n"
        )
        assert values["failure"].startswith("this evaluation needs rouge-score")


def test_the_types_of_the_grammar_are_those_that_can_be_evaluated() -> None:
    parse = importlib.import_module("flowrun.spec.parse_evaluate")
    kinds = importlib.import_module("flowrun.models.evaluation.kinds")
    options = importlib.import_module("flowrun.models.evaluation.options")
    assert set(parse.MODEL_TYPES) == set(kinds.KINDS)
    assert parse.AVERAGES == options.AVERAGES
