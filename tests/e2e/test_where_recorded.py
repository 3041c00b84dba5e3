"""Into which experiment and run it is recorded."""

from __future__ import annotations

from tests.e2e.projects import ONE_STEP
from tests.support.space import Space

LOCAL = ("--env-manager", "local")


def test_an_existing_run_is_continued_where_it_is(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in ONE_STEP.items()})
    space.write({"bad/MLproject": "entry_points:\n  main: {command: exit 1}\n"})
    words = ("run", "bad", "--experiment-name", "wines", "--json")
    first = space.flowrun(*words, *LOCAL, code=1).json()["run_id"]
    again = space.flowrun("run", "p", "--run-id", first, "--json", *LOCAL).json()
    assert again["run_id"] == first
    [run] = space.runs("--experiment-name", "wines")
    assert (run["status"], run["params"]) == ("FINISHED", {"alpha": "0.5"})
    assert "flowrun.error" not in run["tags"]
    other = ("run", "p", "--run-id", first, "--experiment-name", "beers")
    assert space.flowrun(*other, *LOCAL, code=2).err.splitlines()[-2:] == [
        f"flowrun: run {first} is in experiment 'wines' (1)",
        "Leave --experiment-name and --experiment-id out: --run-id says where to record.",
    ]
    nope = space.flowrun("run", "p", "--run-id", "0" * 32, *LOCAL, code=2)
    assert nope.err.splitlines()[-1:] == [f"flowrun: Run with id={'0' * 32} not found"]
    assert len(space.runs()) == 1


def test_flowruns_that_make_the_same_experiment_share_it(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in ONE_STEP.items()})
    words = ("run", "p", "--experiment-name", "new", *LOCAL)
    processes = [space.start(*words) for _ in range(4)]
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0] * 4, ends
    assert len(space.runs("--experiment-name", "new")) == 4
