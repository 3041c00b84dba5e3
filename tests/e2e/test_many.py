"""Steps that become many, with real processes, stores and git trees."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from tests.support.space import Space
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")

PIPELINE = r"""
name: many
entry_points:
  list:
    parameters: {data: path}
    command: "cp -r {data} files && ls files | sed 's/.*/\"&\"/' | paste -sd, | sed 's/.*/[&]/' > names.json"
    outputs: {files: files, names: names.json}
  measure:
    parameters: {file: path}
    command: |
      grep -L bad {file} | grep -q . && echo "{{\"size\": $(wc -c < {file})}}" > m.json
      cp {file} copy.txt
    outputs: {copy: copy.txt}
    metrics: m.json
  twice:
    parameters: {file: path}
    outputs: {copy: "${{ steps.measure.outputs.copy }}"}
    steps: {measure: {with: {file: "${{ params.file }}"}}}
  main:
    parameters: {data: path}
    steps:
      list: {with: {data: "${{ params.data }}"}}
      measure:
        foreach: "${{ steps.list.outputs.files }}"
        with: {file: "${{ item }}"}
        max_parallel: 2
      name: {foreach: "${{ steps.list.outputs.names }}", run: "echo v={n} >> $FLOWRUN_OUTPUT", with: {n: "${{ item }}"}}
      again: {foreach: "${{ steps.measure.outputs.copy }}", entry_point: twice, with: {file: "${{ item }}"}}
      best: {select: {from: measure, metric: size, mode: max}}
      all:
        run: "echo sum {sum} of {names} with {copies}; cat {best}"
        with:
          sum: "${{ steps.measure.metrics.size | sum }}"
          names: "${{ steps.name.outputs.v | join('+') }}"
          copies: "${{ steps.again.outputs.copy | length }}"
          best: "${{ steps.best.outputs.copy }}"
"""  # noqa: E501


def test_files_fan_out_are_collected_and_reused_one_by_one(space: Space) -> None:
    files = {f"data/{name}.txt": f"{name}\n" for name in ("a", "bb", "ccc")}
    space.write({"p/MLproject": PIPELINE, **files})
    words = ("p", *LOCAL, "-P", "data=data")
    planned = space.flowrun("plan", *words).out
    assert "foreach steps.list.outputs.files, decided when list is done" in planned
    first = space.flowrun("run", *words).out
    assert "all | sum 9.0 of a.txt+bb.txt+ccc.txt with 3\nall | ccc\n" in first
    assert "measure[*] | done" in first
    assert "again[#1]/measure | reused from run" in first  # the same as measure[a.txt]

    again = space.flowrun("plan", *words, "--rerun", "measure[bb.txt]").out
    assert "<- run: 1 of 3 items; measure[bb.txt]: asked for (--rerun, --from)" in again
    same = space.flowrun("plan", *words).out
    assert same.count("<- reuse all of 3 items") == 3
    assert re.search(r"all  echo sum .* <- reuse run [0-9a-f]{32}", same)

    (space.path / "data/d.txt").write_text("dddd\n")
    (space.path / "data/a.txt").unlink()
    second = space.flowrun("run", *words, "--json").json()
    ran = {step["id"] for step in second["steps"] if step["run_id"] and not step["reused_from"]}
    assert ran == {"list", "measure[d.txt]", "name[d.txt]", "best", "all"}
    shown = space.flowrun("runs", "show", second["run_id"], "--json").json()
    assert "measure[d.txt]" in json.dumps(shown)

    done = space.flowrun("run", *words, "--rerun", "measure", "--json").json()
    ran = {step["id"] for step in done["steps"] if step["run_id"] and not step["reused_from"]}
    assert ran == {"measure[bb.txt]", "measure[ccc.txt]", "measure[d.txt]", "best"}


def test_a_failing_item_fails_the_end_and_lets_its_siblings_run(space: Space) -> None:
    files = {"data/a.txt": "a", "data/bad.txt": "bad", "data/c.txt": "c"}
    space.write({"p/MLproject": PIPELINE, **files})
    done = space.flowrun("run", "p", *LOCAL, "-P", "data=data", "--json", code=1).json()
    status = {step["id"]: (step["status"], step["detail"]) for step in done["steps"]}
    assert status["measure[c.txt]"] == ("succeeded", "")
    assert status["measure[bad.txt]"][0] == "failed"
    assert status["measure"] == ("failed", "its step 'measure[bad.txt]' failed")
    assert status["all"] == ("skipped", "step 'measure' failed")


WRONG = {
    "no list": ("echo v=abc", "its foreach needs a list, but this is 'abc'"),
    "no such value": ("true", "step 'list' has no output 'v'"),
    "item of the wrong type": ("echo 'v=[1, \"x\"]'", "'x' for 'n' of step 'each' is not an int"),
    "too many": (
        "python -c 'print(\"v=\" + str([1] * 10001))'",
        "its foreach comes to 10,001 items; at most 10,000 can be",
    ),
}


@pytest.mark.parametrize(("command", "why"), WRONG.values(), ids=WRONG.keys())
def test_a_list_that_is_none_fails_the_step_in_words(space: Space, command: str, why: str) -> None:
    text = f"""
entry_points:
  do: {{parameters: {{n: int}}, command: "echo {{n}}"}}
  main:
    steps:
      list: {{run: {json.dumps(command + " >> $FLOWRUN_OUTPUT")}}}
      each: {{foreach: "${{{{ steps.list.outputs.v }}}}", entry_point: do, with: {{n: "${{{{ item }}}}"}}}}
      after: {{run: echo, needs: each}}
"""  # noqa: E501
    space.write({"p/MLproject": text})
    done = space.flowrun("run", "p", *LOCAL, "--json", code=1).json()
    status = {step["id"]: (step["status"], step["detail"]) for step in done["steps"]}
    assert status["each[*]"][0] == "failed"
    assert why in status["each[*]"][1]
    assert status["after"] == ("skipped", "step 'each[*]' failed")


def test_a_failed_instance_ends_its_running_siblings(space: Space) -> None:
    text = """
entry_points:
  main:
    steps:
      each:
        matrix: {n: [1, 2, 3]}
        max_parallel: 2
        fail_fast: true
        run: "if [ {n} = 1 ]; then until [ -e $HERE/2 ]; do sleep 0.05; done; exit 1; fi; touch $HERE/{n}; exec sleep 600"
        with: {n: "${{ matrix.n }}"}
      other: {run: echo fine}
"""  # noqa: E501
    space.write({"p/MLproject": text})
    done = space.flowrun("run", "p", *LOCAL, "--json", "-j", "3", code=1, HERE=str(space.path))
    status = {step["id"]: (step["status"], step["detail"]) for step in done.json()["steps"]}
    assert status["each[n=2]"] == ("killed", "cancelled")
    assert status["each[n=3]"] == ("skipped", "stopped, because step 'each[n=1]' failed")
    assert status["other"][0] == "succeeded"


def test_steps_of_one_concurrency_never_run_together_in_any_flowrun(space: Space) -> None:
    text = """
entry_points:
  main:
    steps:
      each:
        foreach: [1, 2]
        cache: false
        concurrency: gpu
        run: "mkdir $HERE/taken && touch $HERE/seen && until [ -e $HERE/go ]; do sleep 0.05; done; rmdir $HERE/taken"
"""  # noqa: E501
    space.write({"p/MLproject": text})
    here = str(space.path)
    words = ("run", "p", *LOCAL, "-j", "4")
    first = space.start(*words, HERE=here)
    until((space.path / "seen").exists, what="the first step")
    second = space.start(*words, HERE=here)
    assert second.stdout is not None
    told = ""
    while "each[1] | waiting for another step of concurrency 'gpu'" not in told:
        told = second.stdout.readline()
        assert told
    (space.path / "go").touch()
    for process in (first, second):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err


def test_a_cancelled_fan_out_ends_clean(space: Space) -> None:
    text = """
entry_points:
  main:
    steps:
      list: {run: "echo 'v=[1, 2, 3]' >> $FLOWRUN_OUTPUT"}
      each: {foreach: "${{ steps.list.outputs.v }}", run: "touch $HERE/seen; exec sleep 600"}
      after: {run: echo, needs: each}
"""
    space.write({"p/MLproject": text})
    process = space.start("run", "p", *LOCAL, "-j", "2", HERE=str(space.path))
    until((space.path / "seen").exists, what="an instance")
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "after | skipped - cancelled" in out
    assert {run["status"] for run in space.runs()} <= {"KILLED", "FINISHED"}


def test_a_resumed_fan_out_runs_only_the_items_that_did_not_finish(space: Space) -> None:
    text = """
entry_points:
  main:
    steps:
      list: {run: "echo 'v=[1, 2, 3]' >> $FLOWRUN_OUTPUT"}
      each:
        foreach: "${{ steps.list.outputs.v }}"
        cache: false
        run: "test {n} != 2 || test -e $HERE/go || exit 1; echo out={n} >> $FLOWRUN_OUTPUT"
        with: {n: "${{ item }}"}
      after: {run: "echo all {v}", with: {v: "${{ steps.each.outputs.out | join('') }}"}}
"""
    space.write({"p/MLproject": text})
    here = str(space.path)
    space.flowrun("run", "p", *LOCAL, code=1, HERE=here)
    space.write({"go": ""})
    done = space.flowrun("resume", "latest", HERE=here).out
    assert "after | all 123" in done
    assert done.count("| started") == 2  # each[2] and after


OUTER = """
entry_points:
  main:
    steps:
      list: {run: "echo 'v=[1, 2]' >> $FLOWRUN_OUTPUT"}
      each:
        foreach: "${{ steps.list.outputs.v }}"
        project: "#inner"
        with: {n: "${{ item }}"}
        max_parallel: 1
        continue_on_error: true
      end:
        run: "echo got {totals} of {statuses}"
        with:
          totals: "${{ steps.each.outputs.total | join('+') }}"
          statuses: "${{ steps.each.status | join(',') }}"
"""
INNER = """
entry_points:
  main:
    parameters: {n: int}
    outputs: {total: "${{ steps.sum.outputs.t }}"}
    steps:
      list:
        run: 'test {n} != 2 && echo "v=[{n}, 5]" >> $FLOWRUN_OUTPUT'
        with: {n: "${{ params.n }}"}
      each: {foreach: "${{ steps.list.outputs.v }}", run: "echo w={x} >> $FLOWRUN_OUTPUT", with: {x: "${{ item * 10 }}"}}
      sum: {run: "echo t=$(({w})) >> $FLOWRUN_OUTPUT", with: {w: "${{ steps.each.outputs.w | join('+') }}"}}
"""  # noqa: E501


def test_another_project_runs_for_each_item_with_a_foreach_of_its_own(space: Space) -> None:
    files = {"outer/MLproject": OUTER, "inner/MLproject": INNER}
    repository = space.repository("both", files)
    out = space.flowrun("run", f"{repository.url}#outer", *LOCAL, "-j", "2").out
    assert "end | got 60 of succeeded,failed\n" in out
    lines = out.splitlines()
    # One after the other, whole projects.
    assert lines.index("each[1]/sum | started") < lines.index("each[2]/list | started")
