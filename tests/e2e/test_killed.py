"""flowrun is killed with -9 at random moments, and the run is resumed until it is over.

`pytest tests/e2e/test_killed.py --kills 200 --seed 7` kills more often, and at other moments.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from flowrun.engine.cache.digest import digest_of
from flowrun.engine.cache.earlier import FINGERPRINT_TAG
from flowrun.engine.record.live import PARENT_TAG
from flowrun.stores import all_items
from flowrun.tracking.entities import Run, RunStatus
from flowrun.tracking.store import TrackingStore
from tests.support.space import Space
from tests.support.stores import tracking_store
from tests.support.waiting import until

pytestmark = pytest.mark.slow

LINES = 70
"""About as many does a run print."""
PIPELINE = """\
name: killed
entry_points:
  inner:
    steps:
      one: {run: "sleep 0.03; echo n=3 >> $FLOWRUN_OUTPUT", cache: false}
      two: {run: "echo {n} > o", with: {n: "${{ steps.one.outputs.n }}"}, outputs: {o: o}}
    outputs: {o: "${{ steps.two.outputs.o }}"}
  main:
    parameters: {round: {type: int, default: 0}}
    steps:
      base:
        run: "sleep 0.0{i}; seq {i} > o"
        with: {i: "${{ matrix.i }}"}
        matrix: {i: [1, 2, 3, 4, 5, 6]}
        outputs: {o: o}
      make:
        run: >-
          sleep 0.0{i}; mkdir o; seq {i} > o/a; seq {i} 9 > o/b; printf '{{"m": %s}}' {i} > m.json
        with: {i: "${{ matrix.i }}"}
        matrix: {i: [1, 2, 3, 4, 5, 6]}
        outputs: {o: o}
        metrics: m.json
        cache: false
      flaky:
        run: "[ -e {space}/{i}-{round} ] || {{ touch {space}/{i}-{round}; kill -9 $$; }}; cp {o} o"
        with:
          i: "${{ matrix.i }}"
          o: "${{ steps.base.outputs.o[matrix.i - 1] }}"
          round: "${{ params.round }}"
        matrix: {i: [1, 2, 3, 4, 5, 6]}
        outputs: {o: o}
        retries: 3
        backoff: 0.02s
        retry_on: SIGKILL
      list: {run: "echo 'xs=[1, 2, 3]' >> $FLOWRUN_OUTPUT", needs: base, cache: false}
      each:
        foreach: "${{ steps.list.outputs.xs }}"
        run: "sleep 0.0{i}; seq {i} > o"
        with: {i: "${{ item }}"}
        outputs: {o: o}
        cache: false
      best: {select: {from: make, metric: m, mode: max}}
      call: {entry_point: inner, needs: base}
      daemon: {run: "setsid sleep 300 & sleep 0.1; echo x > o", needs: best, outputs: {o: o}}
      join:
        run: "cat {a} {b} {c} {d}/a {d}/b {e} > o; sleep 0.05"
        with:
          a: "${{ steps.flaky.outputs.o[0] }}"
          b: "${{ steps.flaky.outputs.o[5] }}"
          c: "${{ steps.call.outputs.o }}"
          d: "${{ steps.best.outputs.o }}"
          e: "${{ steps.each.outputs.o[2] }}"
        needs: [flaky, daemon]
        outputs: {o: o}
      model:
        run: "mkdir m; cp MLmodel m; cp {o} m/data"
        with: {o: "${{ steps.join.outputs.o }}"}
        outputs: {m: {path: m, type: model}}
      register: {register: {name: killed, model: "${{ steps.model.outputs.m }}"}}
      last:
        run: "cp {o} o; echo {v} > /dev/null"
        with: {o: "${{ steps.join.outputs.o }}", v: "${{ steps.register.outputs.version }}"}
        outputs: {o: o}
        cache: false
"""
MODEL = "flavors: {python_function: {loader_module: x}}\n"
LOCAL = ("--env-manager", "local", "--jobs", "4")


def test_a_run_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    space: Space, pytestconfig: pytest.Config
) -> None:
    wanted = int(pytestconfig.getoption("--kills"))
    space.write({"p/MLproject": PIPELINE.replace("{space}", str(space.path)), "p/MLmodel": MODEL})
    calm = Space(space.path / "calm")
    calm.path.mkdir()
    calm.flowrun("run", str(space.path / "p"), *LOCAL)
    with tracking_store(calm.home / "flowrun.db") as store:
        expected = _outputs_of(store, _pipelines(store)[0])
    for mark in space.path.glob("[0-9]-0"):
        mark.unlink()
    seed = int(pytestconfig.getoption("--seed"))
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    kills = rounds = 0
    while kills < wanted or not _is_over(space):
        if _is_over(space):
            process = space.start("run", "p", *LOCAL, "-P", f"round={rounds}")
            rounds += 1
        else:
            process = space.start("resume", "latest", *LOCAL[2:])
        if kills < wanted:
            kills += _kill(process, chance)
        else:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, out + err
        until(lambda: not _jobs(space), 30, "the end of all that was started")
        _check(space)
    with tracking_store(space.home / "flowrun.db") as store:
        assert "RUNNING" not in {run.info.status for run in _all(store)}
        pipelines = _pipelines(store)
        for pipeline in pipelines:
            assert pipeline.info.status is RunStatus.FINISHED
            assert _outputs_of(store, pipeline) == expected
    versions = space.flowrun("models", "show", "killed", "--json").json()["versions"]
    assert len({version["run_id"] for version in versions}) == len(versions) > 0


def _kill(process: subprocess.Popen[str], chance: random.Random) -> bool:
    """Kill flowrun after some of the lines that it prints, or before; tell whether it still ran."""
    assert process.stdout is not None
    for _ in range(chance.randrange(LINES)):
        if not process.stdout.readline():
            break
    threading.Event().wait(chance.choice([0, 0.01, 0.1]) * chance.random())
    was_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return was_running


def _check(space: Space) -> None:
    """Look at what a flowrun left: no step has finished twice, no cache entry is torn."""
    with tracking_store(space.home / "flowrun.db") as store:
        runs = _all(store)
    finished = [run for run in runs if run.info.status is RunStatus.FINISHED]
    times = Counter(
        (run.tags[PARENT_TAG], run.tags["flowrun.step"]) for run in finished if _is_step(run)
    )
    assert max(times.values(), default=1) == 1, times
    for run in finished:
        if FINGERPRINT_TAG in run.tags:
            for path, sha256 in _outputs(space, run).items():
                assert digest_of(path).sha256 == sha256


def _outputs(space: Space, run: Run) -> dict[Path, str]:
    """Give where the outputs of a run lie, with their recorded digests."""
    found: dict[Path, str] = {}
    artifacts = space.home / "artifacts" / run.info.experiment_id / run.info.run_id / "artifacts"
    for output in _recorded(run).values():
        if output["uri"].startswith("runs:/"):
            place = output["uri"].removeprefix(f"runs:/{run.info.run_id}/")
            found[artifacts / place] = output["sha256"]
    return found


def _recorded(run: Run) -> dict[str, dict[str, str]]:
    prefix = "flowrun.output."
    return {
        key.removeprefix(prefix): json.loads(text)
        for key, text in run.tags.items()
        if key.startswith(prefix)
    }


def _outputs_of(store: TrackingStore, pipeline: Run) -> Mapping[str, str]:
    """Give the digest of each output of the steps of its own, that all rounds have alike."""
    return {
        f"{run.tags['flowrun.step']} {name}": output["sha256"]
        for run in _all(store)
        if run.tags.get(PARENT_TAG) == pipeline.info.run_id
        and run.info.status is RunStatus.FINISHED
        and run.tags["flowrun.step"].startswith(("make", "flaky", "each", "last"))
        for name, output in _recorded(run).items()
    }


def _is_over(space: Space) -> bool:
    if not (space.home / "flowrun.db").exists():
        return True
    with tracking_store(space.home / "flowrun.db") as store:
        return all(run.info.status is RunStatus.FINISHED for run in _pipelines(store))


def _pipelines(store: TrackingStore) -> list[Run]:
    return [run for run in _all(store) if not _is_step(run)]


def _is_step(run: Run) -> bool:
    return PARENT_TAG in run.tags


def _all(store: TrackingStore) -> list[Run]:
    return all_items(lambda token: store.search_runs(["0"], page_token=token))


def _jobs(space: Space) -> list[int]:
    """Give the processes of steps that are alive."""
    home = f"FLOWRUN_HOME={space.home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has just ended, or is not ours
        if home in variables and any(each.startswith(b"FLOWRUN_JOB_ID=") for each in variables):
            found.append(int(folder.name))
    return found
