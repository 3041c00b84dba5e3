"""Steps that ask for GPUs get their own; the driver's devices are no part of these tests."""

from __future__ import annotations

from pathlib import Path

from flowrun.engine.events import StepPrinted
from flowrun.engine.steps.gpus import Gpus
from tests.engine.running import Heard, engine

STEPS = """\
entry_points:
  main:
    steps:
      a:
        run: "echo $CUDA_VISIBLE_DEVICES; touch {path}/a; until [ -e {path}/b ]; do sleep 0.1; done"
        resources: {gpus: 1}
      b:
        run: "echo $CUDA_VISIBLE_DEVICES; touch {path}/b; until [ -e {path}/a ]; do sleep 0.1; done"
        resources: {gpus: 1}
      own:
        run: "echo $CUDA_VISIBLE_DEVICES"
        env: {CUDA_VISIBLE_DEVICES: "9"}
        resources: {gpus: 1}
        needs: [a, b]
      many: {run: "echo $CUDA_VISIBLE_DEVICES", resources: {gpus: 8}, needs: own}
      none: {run: "echo none $CUDA_VISIBLE_DEVICES", needs: own}
"""


def test_steps_that_run_together_see_different_gpus(tmp_path: Path) -> None:
    heard = Heard()
    with engine(tmp_path) as made:
        text = STEPS.replace("{path}", str(tmp_path))
        made.plan_run(text, heard, gpus=("4", "7")).carry_out()
        assert set(made.statuses().values()) == {"FINISHED"}
    seen = {each.step_id: each.line for each in heard.events if isinstance(each, StepPrinted)}
    assert {seen["a"], seen["b"]} == {"4", "7"}
    assert (seen["own"], seen["many"], seen["none"].strip()) == ("9", "4,7", "none")


def test_gpus_that_are_given_back_are_given_again_in_order() -> None:
    gpus = Gpus(["0", "1", "2"])
    with gpus.taken(1) as first, gpus.taken(2) as second:
        assert (first, second) == (("0",), ("1", "2"))
    with gpus.taken(1) as again:
        assert again == ("0",)
