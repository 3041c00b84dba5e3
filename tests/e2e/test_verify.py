"""`flowrun verify` on real runs: what gives the same passes, and each fault is found and named."""

from __future__ import annotations

import json
import os
import signal
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from tests.e2e.projects import MODEL_PIPELINE, PIPELINE
from tests.envs.wheels import write_wheel
from tests.support.docker import IMAGE, TestEngine
from tests.support.space import Done, Space, interrupt
from tests.support.waiting import until

LOCAL = ("--env-manager", "local")
CHAIN = """\
entry_points:
  make:
    parameters: {{seed: string}}
    command: "{command}"
    outputs: {{table: {{path: out, {tolerance}}}}}
  main:
    steps:
      before: {{run: "echo steady > s.txt", outputs: {{text: s.txt}}}}
      make: {{with: {{seed: "1"}}}}
      after:
        run: "cp {{table}} copy"
        with: {{table: "${{{{ steps.make.outputs.table }}}}"}}
        outputs: {{copy: copy}}
"""


def _chain(command: str, tolerance: str = "type: path") -> dict[str, str]:
    return {"MLproject": CHAIN.format(command=command, tolerance=tolerance)}


def _ran(space: Space, *words: str, **variables: str) -> str:
    done = space.flowrun("run", *words, "--json", code=0, **variables)
    run_id: str = done.json()["run_id"]
    return run_id


def _verified(space: Space, *words: str, code: int, **variables: str) -> Any:  # noqa: ANN401 - JSON
    return space.flowrun("verify", *words, "--json", code=code, **variables).json()


def _step(report: Any, step_id: str) -> Any:  # noqa: ANN401 - JSON
    return next(step for step in report["steps"] if step["id"] == step_id)


def _verdicts(report: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    return {step["id"]: step["verdict"] for step in report["steps"]}


def _expect_fault(report: Any, step_id: str, *causes: str) -> None:  # noqa: ANN401 - JSON
    """Expect that the step is named first, as its own fault, with words of its cause."""
    assert report["verdict"] == "different"
    assert report["first_difference"] == step_id
    step = _step(report, step_id)
    assert step["inherited_from"] == []
    for cause in causes:
        assert any(cause in each for each in step["causes"]), step["causes"]


def test_run_that_gives_the_same_is_verified_and_kept_apart(space: Space) -> None:
    space.repository("p", PIPELINE)
    run_id = _ran(space, "p", *LOCAL, "--experiment-name", "team", "-P", "lr=0.4")
    done = space.flowrun("verify", run_id[:8])
    assert f"run {run_id} gives the same again." in done.out
    [listed] = space.flowrun("runs", "list", "--json").json()
    assert listed["run_id"] == run_id
    kept = space.flowrun("runs", "list", "--verifications", "--json").json()
    assert [run["tags"].get("flowrun.verifies") for run in kept] == [run_id, None]
    assert kept[0]["tags"]["flowrun.verify.verdict"] == "same"
    assert kept[0]["params"] == listed["params"]
    experiments = space.flowrun("experiments", "list", "--json").json()
    assert "team (verify)" in [each["name"] for each in experiments]
    assert list((space.home / "verify").iterdir()) == []


def test_registered_models_are_left_alone(space: Space) -> None:
    space.repository("p", MODEL_PIPELINE)
    run_id = _ran(space, "p", *LOCAL)
    before = space.flowrun("models", "list", "--json").out
    report = _verified(space, run_id, code=0)
    assert space.flowrun("models", "list", "--json").out == before
    assert set(_verdicts(report).values()) == {"same", "not compared"}


def test_random_number_without_a_seed_is_found(space: Space) -> None:
    space.repository("p", _chain("od -An -N8 -tu8 /dev/urandom > out"))
    run_id = _ran(space, "p", *LOCAL)
    report = _verified(space, run_id, code=1)
    _expect_fault(report, "make", "a random number without a seed")
    assert _step(report, "make")["differences"][0]["place"] == "output 'table', line 1"
    assert _verdicts(report)["before"] == "same"
    assert _step(report, "after")["inherited_from"] == ["make"]
    repeated = _verified(space, run_id, "--repeat", "2", code=1)
    _expect_fault(repeated, "make", "measured: 2 executions differ among themselves as well")


def test_other_choice_of_a_select_is_inherited_from_what_it_chose_among(space: Space) -> None:
    flag = space.path / "flag"
    text = f"""\
entry_points:
  main:
    steps:
      train:
        run: >-
          if [ -e {flag} ]; then n=$((3 - {{x}})); else n={{x}}; fi;
          echo '{{{{"loss": '$n'}}}}' > m
        matrix: {{x: [1, 2]}}
        with: {{x: "${{{{ matrix.x }}}}"}}
        metrics: m
      best:
        select: {{from: train, metric: loss, mode: min}}
      use:
        run: "echo {{x}} > out"
        with: {{x: "${{{{ steps.best.params.x }}}}"}}
        outputs: {{out: out}}
"""
    space.repository("p", {"MLproject": text})
    run_id = _ran(space, "p", *LOCAL)
    flag.touch()
    report = _verified(space, run_id, code=1)
    _expect_fault(report, "train[x=1]", "code, environment and inputs are the same")
    best = _step(report, "best")
    assert best["inherited_from"] == ["train[x=1]", "train[x=2]"]
    assert (best["differences"][0]["recorded"], best["differences"][0]["found"]) == (
        "train[x=1]",
        "train[x=2]",
    )
    assert _step(report, "use")["inherited_from"] == ["best"]


def test_time_stamp_in_an_output_is_found(space: Space) -> None:
    command = "date +made.%Y-%m-%dT%H:%M:%S.%N > out"
    space.repository("p", _chain(command))
    report = _verified(space, _ran(space, "p", *LOCAL), code=1)
    _expect_fault(report, "make", "it writes the time at which it runs")


def test_input_file_that_has_changed_is_found_and_nothing_is_executed(space: Space) -> None:
    text = """\
entry_points:
  read: {parameters: {data: path}, command: "sort {data} > s", outputs: {sorted: s}}
  main:
    parameters: {data: path}
    steps:
      first: {run: "echo 1"}
      read: {with: {data: "${{ params.data }}"}}
"""
    space.repository("p", {"MLproject": text})
    space.write({"data.txt": "b\na\n"})
    run_id = _ran(space, "p", "-P", "data=data.txt", *LOCAL)
    assert _verified(space, run_id, code=0)["verdict"] == "same"
    space.write({"data.txt": "c\n"})
    count = len(space.runs())
    report = _verified(space, run_id, code=1)
    _expect_fault(report, "read", f"input 'data' ({space.path / 'data.txt'}) has changed")
    assert len(space.runs()) == count
    # of a URI, what comes of it is told as well
    report = _verified(space, "p", "-P", "data=data.txt", *LOCAL, code=1)
    _expect_fault(report, "read", "has changed: sha256")
    assert _step(report, "read")["differences"][0]["place"] == "output 'sorted', line 1"


@pytest.mark.slow
def test_unpinned_dependency_that_moved_is_found_and_a_lock_holds_it(space: Space) -> None:
    project = {
        "MLproject": "entry_points:\n"
        "  use: {command: 'python use.py', outputs: {said: said.txt}}\n"
        "  main: {steps: {before: {run: 'echo 1'}, use: {}}}\n",
        "python_env.yaml": "dependencies: [moved]\n",
        "use.py": "import moved; open('said.txt', 'w').write(moved.version)\n",
    }
    space.repository("p", project)
    wheels = space.path / "wheels"
    old = write_wheel(wheels, "moved", "1.0")
    index = {
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
        "UV_CACHE_DIR": str(space.path / "uv-cache"),
    }
    run_id = _ran(space, "p", **index)
    write_wheel(wheels, "moved", "1.1")
    assert _verified(space, run_id, code=0, **index)["verdict"] == "same"
    for words in (("p",), (run_id, "--relock")):
        report = _verified(space, *words, code=1, **index)
        _expect_fault(report, "use", "its environment: moved 1.0 -> 1.1")
        assert _step(report, "use")["differences"][0]["recorded"] == "'1.0'"
    old.unlink()
    index["UV_CACHE_DIR"] = str(space.path / "other-cache")
    undone = space.flowrun("verify", run_id, code=3, **index)
    assert "could not be verified" in undone.out
    assert "moved" in undone.out
    assert list((space.home / "verify").iterdir()) == []


@pytest.mark.slow
@pytest.mark.docker
def test_image_whose_tag_moved_is_found_and_a_lock_holds_it(
    space: Space, docker: TestEngine
) -> None:
    api, tag = docker.engine.api, f"moves-{os.getpid()}"
    name = f"flowrun-test/{tag}:latest"
    text = f"""\
entry_points:
  main:
    docker_env: {{image: '{name}'}}
    command: "cat /which > which.txt || echo none > which.txt"
    outputs: {{which: which.txt}}
"""
    space.write({"p/MLproject": text})
    api.tag(docker.image_id, f"flowrun-test/{tag}", "latest")
    try:
        run_id = _ran(space, "p")
        container = api.create_container(IMAGE, ["sh", "-c", "echo other > /which"])
        try:
            api.start(container)
            api.wait(container)
            api.commit(container, f"flowrun-test/{tag}", "latest")
        finally:
            api.remove_container(container, force=True)
        assert _verified(space, run_id, code=0)["verdict"] == "same"
        report = _verified(space, "p", code=1)
        _expect_fault(report, "main", f"image {name} was {docker.image_id[:19]}, is sha256:")
        assert _step(report, "main")["differences"][0]["found"] == "'other'"
    finally:
        api.remove_image(name, force=True)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.usefixtures("docker")
def test_containers_arguments_are_told_and_not_taken_from_a_record(space: Space) -> None:
    text = f"""\
entry_points:
  main:
    docker_env: {{image: '{IMAGE}'}}
    command: "cat code.txt > out.txt"
    outputs: {{out: out.txt}}
"""
    space.write({"p/MLproject": text, "p/code.txt": "x"})
    run_id = _ran(space, "p", "-A", "hostname=other", "--build-image")
    report = _verified(space, run_id, code=0)
    assert report["lacking"] == ['the right to --docker-args, which were {"hostname": "other"}']


def test_declared_tolerances_hold_for_outputs_and_metrics(space: Space) -> None:
    text = """\
entry_points:
  main:
    command: >-
      printf 'a,b,when\\n1,1.0000%s,%s\\n' $RANDOM $(date +%N) > t.csv;
      printf '{{"loss": 0.5%s, "seconds": %s}}' $RANDOM $RANDOM > m.json
    outputs: {table: {path: t.csv, rtol: 1e-3, ignore: ["#when"]}}
    metrics: {path: m.json, each: {loss: {atol: 0.2}}, ignore: [sec*]}
"""
    project = space.repository("p", {"MLproject": text})
    run_id = _ran(space, "p", *LOCAL)
    assert _verified(space, run_id, code=0)["verdict"] == "same"
    strict = text.replace("rtol: 1e-3, ", "").replace("each: {loss: {atol: 0.2}}, ", "")
    project.commit({"MLproject": strict}, "strict")
    report = _verified(space, _ran(space, "p", *LOCAL), code=1)
    places = [each["place"] for each in _step(report, "main")["differences"]]
    assert places == ["output 'table', row 1, column 'b'", "metric 'loss'"]
    assert all(each["delta"] > 0 for each in _step(report, "main")["differences"])


def test_metric_that_varies_by_itself_is_the_same_within_what_repetition_shows(
    space: Space,
) -> None:
    text = """\
entry_points:
  main:
    command: "printf '{{\\"loss\\": %s}}' $(cat {counts} | wc -l) > m.json; echo x >> {counts}"
    parameters: {counts: string}
    metrics: {path: m.json, repeat: 3}
"""
    space.repository("p", {"MLproject": text})
    counts = space.path / "counts"
    counts.write_text("x\n")
    run_id = _ran(space, "p", "-P", f"counts={counts}", *LOCAL)  # 1; then 2, 3, 4
    report = _verified(space, run_id, code=0)
    assert len(report["run_ids"]) == 3
    assert _step(report, "main")["notes"] == [
        "metric 'loss' lay between 2.0 and 4.0 in 3 executions"
    ]


def test_project_without_a_record_is_executed_twice(space: Space) -> None:
    space.repository("p", _chain("echo {seed} > out"))
    done = space.flowrun("verify", "p", *LOCAL)
    assert "no finished run of this code is recorded" in done.err
    assert "gives the same again" in done.out
    space.repository("q", _chain("date +%s%N > out"))
    report = _verified(space, "q", *LOCAL, code=1)
    _expect_fault(report, "make")


def test_failure_of_a_step_that_succeeded_is_a_difference(space: Space) -> None:
    flag = space.path / "flag"
    flag.write_text("here")
    space.repository("p", _chain(f"cat {flag} > out"))
    run_id = _ran(space, "p", *LOCAL)
    flag.unlink()
    report = _verified(space, run_id, code=1)
    _expect_fault(report, "make")
    assert _step(report, "make")["differences"][0]["found"].startswith("FAILED (its command")
    assert _step(report, "after")["inherited_from"] == ["make"]


def test_failure_that_is_repeated_is_the_same(space: Space) -> None:
    space.repository("p", _chain("exit 7"))
    done = space.flowrun("run", "p", *LOCAL, "--json", code=1)
    report = _verified(space, done.json()["run_id"], code=0)
    assert _verdicts(report) == {"before": "same", "make": "same", "after": "not compared"}


def test_run_that_has_not_ended_or_kept_no_code_can_not_be_verified(space: Space) -> None:
    space.repository("p", _chain("echo 1 > out"))
    run_id = _ran(space, "p", "--in-place", *LOCAL)
    undone = space.flowrun("verify", run_id, "--junit", "u.xml", "--markdown", "u.md", code=3)
    assert "its code was not kept" in undone.err
    error = ElementTree.fromstring(space.read("u.xml")).find("testsuite/testcase/error")  # noqa: S314
    assert error is not None
    assert "its code was not kept" in (error.text or "")
    assert "could not be verified" in space.read("u.md")
    flag = space.path / "go"
    space.repository("q", _chain(f"until [ -e {flag} ]; do sleep 0.1; done; echo 1 > out"))
    process = space.start("run", "q", *LOCAL)

    def running() -> str:
        found = [
            r
            for r in space.runs()
            if r["status"] == "RUNNING" and "q" in r["tags"]["mlflow.source.name"]
        ]
        return next((r["run_id"] for r in found if "flowrun.step" not in r["tags"]), "")

    until(lambda: running() != "", 60, "the run")
    try:
        assert "has not ended" in space.flowrun("verify", running(), code=3).err
    finally:
        flag.touch()
        process.communicate(timeout=60)


def test_reports_are_written_for_ci(space: Space) -> None:
    space.repository("p", _chain("date +%N > out"))
    run_id = _ran(space, "p", *LOCAL)
    done = space.flowrun(
        "verify", run_id, "--junit", "report.xml", "--markdown", "report.md", "-q", code=1
    )
    suite = ElementTree.fromstring(space.read("report.xml")).find("testsuite")  # noqa: S314 - ours
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    cases = {case.get("name"): [each.tag for each in case] for case in suite}
    assert cases == {"before": [], "make": ["failure"], "after": ["failure"]}
    text = space.read("report.md")
    assert text.startswith(f"## ❌ run {run_id} does not give the same again.")
    assert "| after | different | inherited from make |" in text
    assert "The first step that differs is 'make'." in done.out


@pytest.mark.parametrize("words", [("-P", "a=1"), ("-v", "main"), ("-e", "x")], ids=" ".join)
def test_recorded_run_is_verified_as_it_was(space: Space, words: tuple[str, ...]) -> None:
    space.repository("p", _chain("echo 1 > out"))
    space.flowrun("verify", _ran(space, "p", *LOCAL), *words, code=2)


def test_what_was_recorded_by_an_older_flowrun_says_which_fact_is_missing(space: Space) -> None:
    space.repository("p", _chain("echo 1 > out"))
    run_id = _ran(space, "p", *LOCAL)
    for lock in (space.home / "artifacts").rglob("*.lock"):
        lock.unlink()
    report = _verified(space, run_id, code=0)
    assert report["lacking"] == [
        f"step '{step}': the lock of its environment" for step in ("before", "make", "after")
    ]


def _interrupted(space: Space, number: int) -> tuple[str, Done]:
    flag = space.path / "again"
    command = f"if [ -e {flag} ]; then echo up; sleep 60; fi; echo 1 > out"
    space.repository("p", _chain(command))
    run_id = _ran(space, "p", *LOCAL)
    flag.touch()
    process = space.start("verify", run_id)
    lines: list[str] = []

    def is_up() -> bool:
        assert process.stdout is not None
        lines.append(process.stdout.readline())
        return "make | up" in lines[-1]

    until(is_up, 60, "the step")
    interrupt(process, number)
    out, err = process.communicate(timeout=60)
    flag.unlink()
    return run_id, Done(process.returncode, "".join(lines) + out, err)


def test_interrupted_verification_ends_its_runs_and_leaves_nothing(space: Space) -> None:
    run_id, done = _interrupted(space, signal.SIGINT)
    assert done.code == 130
    assert f"run {run_id} could not be verified: it was cancelled" in done.out
    runs = space.runs("--verifications")
    assert {run["status"] for run in runs} == {"FINISHED", "KILLED"}
    killed = next(run for run in runs if run["status"] == "KILLED")
    parent = killed["tags"].get("mlflow.parentRunId", killed["run_id"])
    assert "was cancelled: there is nothing" in space.flowrun("verify", parent, code=3).err
    assert list((space.home / "verify").iterdir()) == []


def test_place_of_a_killed_verification_is_removed_by_the_next_flowrun(space: Space) -> None:
    run_id, _ = _interrupted(space, signal.SIGKILL)
    left = list((space.home / "verify").iterdir())
    assert len(left) == 1
    _ran(space, "p", *LOCAL)
    assert list((space.home / "verify").iterdir()) == []
    assert _verified(space, run_id, code=0)["verdict"] == "same"


def test_two_verifications_at_once_do_not_meet(space: Space) -> None:
    space.repository("p", PIPELINE)
    run_id = _ran(space, "p", *LOCAL)
    both = [space.start("verify", run_id, "--json") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert json.loads(out)["verdict"] == "same"
