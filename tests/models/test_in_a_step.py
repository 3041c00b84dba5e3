"""Models in the environment of a step: the light client and the step's own libraries, no more."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.fluent.light import Light
from tests.support.serving import TOKEN, serving

LIBRARIES = (
    *("sklearn", "numpy", "numpy.libs", "scipy", "scipy.libs", "scikit_learn.libs", "joblib"),
    *("threadpoolctl.py", "narwhals", "packaging", "cloudpickle"),
)

SCRIPT = """
import sys, warnings
import flowrun
from sklearn.linear_model import Ridge

model = Ridge().fit([[0.0], [1.0]], [0.0, 2.0])
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    info = flowrun.sklearn.log_model(model, name="ridge", registered_model_name="ridge")
print(*[str(item.message)[:31] for item in said], sep="|")
loaded = flowrun.pyfunc.load_model("models:/ridge/1")
assert loaded.predict([[2.0]]) == model.predict([[2.0]])
print(sorted({"yaml", "pydantic", "pandas", "skops", "mlflow"} & set(sys.modules)))
print(loaded.metadata.flavors["sklearn"]["serialization_format"])
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a folder of packages that has only a few of those that are installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parents[1]
    for name in LIBRARIES:
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    for info in packages.glob("scikit_learn-*.dist-info"):
        (folder / info.name).symlink_to(info)
    return folder


def test_a_step_logs_and_loads_models_with_its_own_libraries_only(
    tmp_path: Path, site: Path
) -> None:
    light = Light.copy(tmp_path)
    with serving(tmp_path) as server:
        run_id = server.new_run()
        variables = {
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_RUN_ID": run_id,
        }
        done = light.run(SCRIPT, variables, site)
        assert done.stderr == ""
        assert done.stdout.splitlines() == [
            "skops can't keep this Ridge: th",
            "[]",
            "cloudpickle",
        ]
        version = server.registry.get_model_version("ridge", "1")
        assert version.run_id == run_id
        (requirements,) = server.artifacts.rglob("requirements.txt")
        (line,) = [text for text in requirements.read_text().split() if "scikit" in text]
        assert line.startswith("scikit-learn==")
