"""Verifications where runs are recorded on each kind of store."""

from __future__ import annotations

from tests.e2e.projects import PIPELINE
from tests.support.space import Space

CHANCE = """\
entry_points:
  main:
    steps:
      make: {run: "od -An -N8 -tu8 /dev/urandom > out", outputs: {table: out}}
      after:
        run: "cp {table} copy"
        with: {table: "${{ steps.make.outputs.table }}"}
        outputs: {copy: copy}
"""


def test_verdict_is_the_same_on_every_kind_of_store(anywhere: Space) -> None:
    anywhere.repository("p", {"MLproject": CHANCE})
    anywhere.repository("q", PIPELINE)
    run_ids = {
        name: anywhere.flowrun("run", name, "--env-manager", "local", "--json").json()["run_id"]
        for name in ("p", "q")
    }
    report = anywhere.flowrun("verify", run_ids["p"], "--json", code=1).json()
    make, after = report["steps"]
    assert report["first_difference"] == "make"
    assert make["differences"][0]["place"] == "output 'table', line 1"
    assert "a random number without a seed" in make["causes"][0]
    assert after["inherited_from"] == ["make"]
    assert anywhere.flowrun("verify", run_ids["q"], "--json").json()["verdict"] == "same"
