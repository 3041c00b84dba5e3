"""What may be loaded at all is seen before an environment is built or a process started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flowrun.errors import PermissionDeniedError
from flowrun.models.flavors import langchain, lightgbm, pyfunc, sklearn, statsmodels, xgboost
from flowrun.serving.fetch import fetch_model
from tests.models.cases import CASES

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


def script(folder: Path) -> str:
    path = folder.with_suffix(".py")
    path.write_text("from flowrun.models import set_model\nset_model(len)\n")
    return str(path)


def traced(folder: Path, *, is_traced: bool) -> None:
    """Write what a model of PyTorch says of itself; PyTorch is too big to be here."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / ("model.pt2" if is_traced else "model.pth")).write_bytes(b"x")
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.pytorch\n    data: data\n"
        "  pytorch:\n    model_data: data\n"
    )


def of(case: str) -> object:
    return CASES[case].make()


MODELS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "a booster": (lambda at: xgboost.save_model(of("xgboost booster"), at), None),  # type: ignore[arg-type]
    "skops": (lambda at: sklearn.save_model(of("sklearn linear"), at), None),  # type: ignore[arg-type]
    "a pickle": (
        lambda at: sklearn.save_model(of("sklearn linear"), at, serialization_format="pickle"),  # type: ignore[arg-type]
        "is a pickle",
    ),
    "an estimator of LightGBM": (
        lambda at: lightgbm.save_model(
            of("lightgbm estimator"),  # type: ignore[arg-type]
            at,
            serialization_format="cloudpickle",
        ),
        "is a pickle",
    ),
    "statsmodels": (lambda at: statsmodels.save_model(of("statsmodels"), at), "is a pickle"),  # type: ignore[arg-type]
    "a function": (lambda at: pyfunc.save_model(at, python_model=len), "is a pickle"),
    "a script": (lambda at: pyfunc.save_model(at, python_model=script(at)), "brings code"),
    "a chain": (lambda at: langchain.save_model(script(at), at), "brings code"),
    "a graph of PyTorch": (lambda at: traced(at, is_traced=True), None),
    "a module of PyTorch": (lambda at: traced(at, is_traced=False), "is a pickle"),
}


@pytest.mark.parametrize(("save", "reason"), MODELS.values(), ids=MODELS)
def test_what_runs_code_is_refused_before_anything_starts(
    tmp_path: Path,
    save: Callable[[Path], object],
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(tmp_path / "model")
    (tmp_path / "into").mkdir()
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "false")
    if reason is None:
        assert fetch_model(str(tmp_path / "model"), tmp_path / "into", None).mlmodel.flavors
        return
    with pytest.raises(PermissionDeniedError, match=reason):
        fetch_model(str(tmp_path / "model"), tmp_path / "into", None)
