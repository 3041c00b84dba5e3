"""Evaluates all cases with one of the two (`flowrun FOLDER`, `mlflow FOLDER`)."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.models.evaluation.cases import CASES, Case, own_metric


def evaluated(library: Any, case: Case, folder: Path) -> dict[str, object]:  # noqa: ANN401
    """Evaluate one case; the result is saved, too."""
    estimator, table = case.make()
    config = dict(case.config)
    models = importlib.import_module(f"{library.__name__}.models")
    more = {}
    if library.__name__ == "mlflow":
        config["log_model_explainability"] = False
    with library.start_run() as run:
        uri = None
        if estimator is not None:
            needs = ["scikit-learn"]
            info = library.sklearn.log_model(estimator, name="model", pip_requirements=needs)
            uri = info.model_uri
            more["extra_metrics"] = [models.make_metric(eval_fn=own_metric, greater_is_better=True)]
        result = models.evaluate(
            uri,
            table,
            targets="target",
            predictions=case.predictions,
            model_type=case.model_type,
            evaluator_config=config,
            **more,
        )
    result.save(folder)
    logged = library.get_run(run.info.run_id).data.metrics
    loaded = models.EvaluationResult.load(folder)
    assert loaded.metrics == result.metrics
    return {
        "metrics": {name: float(value) for name, value in result.metrics.items()},
        "logged": sorted(logged),
        "artifacts": sorted(result.artifacts),
        "run_id": run.info.run_id,
        "model_id": None if uri is None else uri.rpartition("/")[2],
    }


def main(name: str, folder: Path) -> None:
    """Evaluate all."""
    warnings.simplefilter("error" if name == "flowrun" else "ignore")
    library = importlib.import_module(name)
    made = {}
    for place, (case_name, case) in enumerate(CASES.items()):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="skops can't keep")
            made[case_name] = evaluated(library, case, folder / f"{name}-{place}")
    if name == "mlflow":
        theirs = json.loads((folder / "flowrun.json").read_text())
        for place, (case_name, ours) in enumerate(made.items()):
            library.models.EvaluationResult.load(str(folder / f"flowrun-{place}"))
            file, run_id = "eval_results_table.json", theirs[case_name]["run_id"]
            table = library.load_table(file, run_ids=[run_id])
            ours["table of flowrun"] = {
                "columns": list(table.columns),
                "outputs": table["outputs"].tolist(),
            }
    (folder / f"{name}.json").write_text(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
