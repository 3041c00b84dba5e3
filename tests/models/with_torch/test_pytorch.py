"""Networks of PyTorch: both ways, as a pickle and as a traced graph; and their training, logged."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest

import flowrun
from flowrun.errors import FlowrunError
from tests.support.serving import TOKEN, serving

torch: Any = importlib.import_module("torch")
mlflow: Any = importlib.import_module("mlflow")

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

REPOSITORY = Path(__file__).parents[3]
ROWS = numpy.arange(12, dtype="float32").reshape(4, 3) / 10


def network() -> Any:  # noqa: ANN401 - of PyTorch
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    return layers.eval()


@pytest.mark.parametrize("form", ["pickle", "pt2"])
def test_either_tool_does_the_same_with_what_the_other_saved(tmp_path: Path, form: str) -> None:
    model = network()
    expected = model(torch.from_numpy(ROWS)).detach().numpy()
    for name, tool in (("flowrun", flowrun), ("mlflow", mlflow)):
        folder = str(tmp_path / name)
        more: dict[str, Any] = {} if tool is flowrun else {"pip_requirements": []}
        tool.pytorch.save_model(
            model, folder, serialization_format=form, input_example=ROWS, **more
        )
        for other in (flowrun, mlflow):
            loaded = other.pyfunc.load_model(folder)
            numpy.testing.assert_allclose(loaded.predict(ROWS), expected, rtol=1e-6)
            own = other.pytorch.load_model(folder)
            made = own(torch.from_numpy(ROWS)).detach().numpy()
            numpy.testing.assert_allclose(made, expected, rtol=1e-6)


def test_a_pickle_is_refused_where_pickles_are_and_a_graph_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flowrun.pytorch.save_model(network(), tmp_path / "pickle")
    flowrun.pytorch.save_model(
        network(), tmp_path / "graph", serialization_format="pt2", input_example=ROWS
    )
    mlflow.pytorch.save_model(  # keeps the example as a pickle, within the graph
        network(),
        tmp_path / "mlflow",
        serialization_format="pt2",
        input_example=ROWS,
        pip_requirements=[],
    )
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "false")
    made: Any = flowrun.pyfunc.load_model(str(tmp_path / "graph")).predict(ROWS)
    assert made.shape == (4, 2)
    for name in ("pickle", "mlflow"):
        with pytest.raises(FlowrunError, match="FLOWRUN_ALLOW_PICKLE"):
            flowrun.pyfunc.load_model(str(tmp_path / name))


def test_damaged_files_are_told_with_their_place(tmp_path: Path) -> None:
    flowrun.pytorch.save_model(network(), tmp_path / "model")
    path = tmp_path / "model" / "data" / "model.pth"
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content[: len(content) // 2])
    with pytest.raises(FlowrunError, match=r"model\.pth"):
        flowrun.pyfunc.load_model(str(tmp_path / "model"))


def test_weights_are_kept_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "false")
    model = network()
    flowrun.pytorch.save_state_dict(model.state_dict(), tmp_path / "weights")
    other = network()
    for weights in other.parameters():
        torch.nn.init.zeros_(weights)
    other.load_state_dict(flowrun.pytorch.load_state_dict(str(tmp_path / "weights")))
    given = torch.from_numpy(ROWS)
    assert torch.equal(other(given), model(given))


LOOP = """
import flowrun, torch
flowrun.autolog()
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
with flowrun.start_run():
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).pow(2).mean().backward()
        optimizer.step()
"""
LIGHTNING = """
import flowrun, torch, lightning
flowrun.autolog()
class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
    def forward(self, rows):
        return self.layer(rows)
    def training_step(self, batch, number):
        loss = self(batch).pow(2).mean()
        self.log("train_loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.25)
rows = torch.utils.data.DataLoader(torch.ones(4, 3), batch_size=2)
trainer = lightning.Trainer(max_epochs=3, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
trainer.fit(Module(), rows)
"""
LOGGED = {
    "loop": (LOOP, {"optimizer_name": "SGD", "optimizer_lr": "0.25"}, {"loss": 5}, 0),
    "lightning": (
        LIGHTNING,
        {"epochs": "3", "optimizer_name": "Adam", "optimizer_lr": "0.25"},
        {"train_loss": 3},
        1,
    ),
}


@pytest.mark.parametrize("name", LOGGED)
def test_a_training_is_logged(tmp_path: Path, name: str) -> None:
    script, params, metrics, models = LOGGED[name]
    (tmp_path / "train.py").write_text(script)
    with serving(tmp_path / "server") as server:
        done = subprocess.run(
            [sys.executable, "train.py"],
            cwd=tmp_path,
            env={
                "PATH": os.defpath,
                "HOME": str(tmp_path),
                "PYTHONPATH": str(REPOSITORY),
                "MLFLOW_TRACKING_URI": server.url,
                "MLFLOW_TRACKING_TOKEN": TOKEN,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        [run] = server.tracking.search_runs(["0"]).items
        assert params.items() <= dict(run.params).items()
        for key, points in metrics.items():
            assert len(server.tracking.get_metric_history(run.info.run_id, key).items) == points
        logged = server.tracking.search_logged_models(["0"]).items
    assert len(logged) == models, json.dumps(done.stderr)
