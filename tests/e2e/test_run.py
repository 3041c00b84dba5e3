"""`flowrun run`: what a user sees and what is recorded."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from tests.e2e.projects import MODEL_PIPELINE, ONE_STEP, PIPELINE
from tests.support.space import Space

LOCAL = ("--env-manager", "local")


def test_a_single_entry_point_is_one_run_with_everything_recorded(space: Space) -> None:
    repository = space.repository("one", ONE_STEP)
    done = space.flowrun("run", repository.url, "-P", "alpha=0.3", *LOCAL)
    assert "main | alpha=0.3" in done.out
    [run] = space.runs()
    assert run["status"] == "FINISHED"
    assert run["params"] == {"alpha": "0.3"}
    tags = run["tags"]
    assert tags["mlflow.source.git.commit"] == repository.head
    assert tags["flowrun.source.tree"] == repository.git("rev-parse", "HEAD^{tree}")
    assert tags["mlflow.source.type"] == "PROJECT"
    assert tags["mlflow.source.name"] == repository.url
    assert tags["mlflow.project.entryPoint"] == "main"
    assert tags["mlflow.project.backend"] == "local"
    assert tags["flowrun.exit_code"] == "0"
    assert int(tags["flowrun.peak_memory_bytes"]) > 0
    assert float(tags["flowrun.cpu_time_s"]) >= 0
    assert tags["flowrun.host"]
    assert "mlflow.source.git.dirty" not in tags
    shown = space.flowrun("runs", "show", run["run_id"]).out
    for fact in (repository.head, "alpha  0.3", "exit code", "peak memory", "environment.lock"):
        assert fact in shown
    assert space.flowrun("runs", "logs", run["run_id"]).out == "alpha=0.3\n"


def test_a_pipeline_passes_data_and_records_a_run_for_each_step(space: Space) -> None:
    space.write({f"pipe/{name}": text for name, text in PIPELINE.items()})
    done = space.flowrun("run", "pipe", *LOCAL)
    assert "report | best is 0.1 of 3" in done.out
    runs = {run["tags"].get("flowrun.step", "parent"): run for run in space.runs()}
    assert sorted(runs) == [
        "best",
        "parent",
        "prepare",
        "report",
        "train[lr=0.1]",
        "train[lr=0.2]",
        "train[lr=0.3]",
    ]
    parent = runs.pop("parent")
    assert {run["tags"]["mlflow.parentRunId"] for run in runs.values()} == {parent["run_id"]}
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    assert runs["train[lr=0.2]"]["metrics"] == {"loss": 0.2}
    output = json.loads(runs["train[lr=0.2]"]["tags"]["flowrun.output.result"])
    assert output["sha256"] == hashlib.sha256(b'{"loss": 0.2}').hexdigest()
    given = json.loads(runs["train[lr=0.2]"]["tags"]["flowrun.input.table"])
    made = json.loads(runs["prepare"]["tags"]["flowrun.output.table"])
    assert given == made
    source = json.loads(runs["prepare"]["tags"]["flowrun.input.source"])
    assert source["sha256"] == hashlib.sha256(b"pear\napple\nfig\n").hexdigest()


def test_a_relative_project_is_looked_for_beside_the_one_that_names_it(space: Space) -> None:
    top = {"MLproject": "entry_points: {main: {steps: {mid: {project: ../lib/mid}}}}"}
    mid = {
        "MLproject": "entry_points: {main: {steps: {low: {project: ../low}, own: {run: echo mid}}}}"
    }
    low = {"MLproject": "entry_points: {main: {command: echo low of lib}}"}
    space.repository("lib/mid", mid)
    space.repository("lib/low", low)
    space.repository("low", {"MLproject": "entry_points: {main: {command: echo wrong}}"})
    done = space.flowrun("run", space.repository("top", top).url, *LOCAL)
    assert "low of lib" in done.out
    assert "wrong" not in done.out


def test_registers_and_promotes_only_a_model_that_beats_the_champion(space: Space) -> None:
    space.repository("models", MODEL_PIPELINE)
    first = space.flowrun("run", "models", "-P", "rmse=0.7", *LOCAL)
    assert "demo version 1 is now Production and champion" in first.out
    worse = space.flowrun("run", "models", "-P", "rmse=0.9", *LOCAL)
    assert "promote | skipped - its condition is not met: " in worse.out
    assert "champion.metrics.rmse = 0.7" in worse.out
    space.flowrun("run", "models", "-P", "rmse=0.5", *LOCAL)
    shown = space.flowrun("models", "show", "demo", "--json").json()
    assert [
        (v["version"], v["stage"]) for v in sorted(shown["versions"], key=lambda v: v["version"])
    ] == [
        ("1", "Archived"),
        ("2", "None"),
        ("3", "Production"),
    ]
    assert shown["aliases"] == {"champion": "3"}
    changes = [(h["version"], h["kind"], h["from"], h["to"]) for h in shown["history"]]
    assert ("1", "stage", "None", "Production") in changes
    assert ("1", "stage", "Production", "Archived") in changes
    assert ("3", "stage", "None", "Production") in changes
    assert all(h["user"] and h["reason"] and h["run_id"] for h in shown["history"])
    version = space.flowrun("models", "show", "demo/3", "--json").json()
    train = space.run_of("train")
    assert version["run_id"] == train["run_id"]
    assert version["tags"]["flowrun.commit"] == train["tags"]["mlflow.source.git.commit"]
    assert version["tags"]["flowrun.env.backend"] == "local"


def test_a_second_run_of_the_same_commit_needs_no_repository(space: Space) -> None:
    repository = space.repository("gone", ONE_STEP)
    bare = repository.bare(space.path / "gone.git")
    space.flowrun("run", bare.url, "-v", repository.head, *LOCAL)
    bare.path.rename(space.path / "elsewhere.git")
    done = space.flowrun("run", bare.url, "-v", repository.head, *LOCAL)
    assert "alpha=0.5" in done.out


def test_a_dirty_checkout_is_marked_and_its_diff_kept(space: Space) -> None:
    repository = space.repository("one", ONE_STEP)
    repository.write({"new.txt": "new\n"})
    before = repository.git("status", "--porcelain")
    space.flowrun("run", "one", *LOCAL)
    assert repository.git("status", "--porcelain") == before
    [run] = space.runs()
    assert run["tags"]["mlflow.source.git.dirty"] == "true"
    diff = next(space.home.glob("artifacts/*/*/artifacts/flowrun/source.diff")).read_text()
    assert "+new" in diff


def test_secrets_reach_only_the_step_that_asks_and_are_masked(space: Space) -> None:
    project = """\
entry_points:
  main:
    steps:
      asks:
        run: "echo key is $API_KEY"
        secrets: [API_KEY]
      other:
        run: "echo other has ${{API_KEY:-nothing}}"
"""
    space.write({"p/MLproject": project})
    done = space.flowrun("run", "p", *LOCAL, API_KEY="hunter2-long")
    assert "asks | key is ***" in done.out
    assert "other | other has nothing" in done.out
    kept = b"".join(p.read_bytes() for p in space.home.rglob("*") if p.is_file())
    assert b"hunter2-long" not in kept


def test_in_place_runs_in_the_users_directory_and_says_so(space: Space) -> None:
    space.write({"p/MLproject": 'entry_points:\n  main: {command: "pwd > here.txt"}\n'})
    space.flowrun("run", "p", "--in-place", *LOCAL)
    assert space.read("p/here.txt").strip() == str(space.path / "p")
    assert space.runs()[0]["tags"]["flowrun.in_place"] == "true"


def test_steps_do_not_see_or_change_the_users_directory(space: Space) -> None:
    space.write({"p/MLproject": 'entry_points:\n  main: {command: "touch left-behind; pwd"}\n'})
    space.flowrun("run", "p", *LOCAL)
    assert sorted(path.name for path in (space.path / "p").iterdir()) == ["MLproject"]
    assert not any((space.home / "work").iterdir())


def test_json_is_all_that_is_printed_when_asked_for(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in ONE_STEP.items()})
    outcome = space.flowrun("run", "p", "--json", *LOCAL).json()
    assert outcome["status"] == "FINISHED"
    assert outcome["steps"][0]["id"] == "main"


def test_path_parameters_are_relative_to_the_callers_directory(space: Space) -> None:
    project = """\
entry_points:
  main:
    parameters: {data: path}
    command: "cat {data}"
"""
    space.write({"p/MLproject": project, "my data.txt": "mine\n"})
    done = space.flowrun("run", "p", "-P", "data=my data.txt", *LOCAL)
    assert "main | mine" in done.out
    [run] = space.runs()
    assert run["params"] == {"data": "my data.txt"}
    digest = json.loads(run["tags"]["flowrun.input.data"])["sha256"]
    assert digest == hashlib.sha256(b"mine\n").hexdigest()


def test_extra_parameters_are_appended_as_options(space: Space) -> None:
    space.write({"p/MLproject": 'entry_points:\n  main: {command: "echo"}\n'})
    done = space.flowrun("run", "p", "-P", "depth=3", "-P", "name=a b", *LOCAL)
    assert "main | --depth 3 --name a b" in done.out
    assert space.runs()[0]["params"] == {"depth": "3", "name": "a b"}


def test_a_script_is_an_entry_point(space: Space) -> None:
    space.write({"p/hello.sh": "echo hello $1 $2\n"})
    done = space.flowrun("run", "p", "-e", "hello.sh", "-P", "to=you", *LOCAL)
    assert "hello.sh | hello --to you" in done.out


def test_an_experiment_is_made_by_name_and_used_again(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in ONE_STEP.items()})
    space.flowrun("run", "p", "--experiment-name", "wines", *LOCAL)
    space.flowrun("run", "p", *LOCAL, MLFLOW_EXPERIMENT_NAME="wines")
    experiments = space.flowrun("experiments", "list", "--json").json()
    assert [e["name"] for e in experiments] == ["Default", "wines"]
    assert len(space.runs("--experiment-name", "wines")) == 2


def test_a_run_can_be_recorded_into_an_existing_one(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in ONE_STEP.items()})
    first = space.flowrun("run", "p", "--json", *LOCAL).json()["run_id"]
    again = space.flowrun("run", "p", "--run-id", first, "--json", *LOCAL).json()["run_id"]
    assert again == first
    assert len(space.runs()) == 1


def test_sub_projects_in_other_repositories_are_pinned_in_the_plan(space: Space) -> None:
    examples = Path(__file__).parents[2] / "examples" / "chained"
    features = space.repository("features", _files(examples / "features"))
    features.tag("v1.0")
    pinned = features.head
    features.commit({"make_features.py": "raise SystemExit('not this one')\n"})
    space.repository("train", _files(examples / "train"))
    assert f"features @ v1.0 = {pinned}" in space.flowrun("plan", "train").out
    planned = space.flowrun("plan", "train", "--json").json()
    assert [sub["commit"] for sub in planned["sub_projects"].values()] == [pinned]
    space.flowrun("run", "train", *LOCAL)
    assert space.run_of("fit")["metrics"]["rows"] == 200
    made = space.run_of("features")["tags"]
    assert made["mlflow.source.git.commit"] == pinned
    assert "gives the same again" in space.flowrun("verify", "latest").out


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_lock_of_many_steps_is_kept_once_and_found_from_each(space: Space) -> None:
    space.write({f"pipe/{name}": text for name, text in PIPELINE.items()})
    space.flowrun("run", "pipe", *LOCAL)
    (kept,) = space.home.rglob("flowrun/environments/*.lock")
    assert kept.stem == hashlib.sha256(kept.read_bytes()).hexdigest()
    steps = [run["tags"] for run in space.runs() if "flowrun.env.backend" in run["tags"]]
    assert len(steps) == 5
    for tags in steps:
        assert tags["flowrun.env.lock"] == (
            f"runs:/{tags['mlflow.parentRunId']}/flowrun/environments/{kept.name}"
        )
    assert not list(space.home.rglob("environment.lock"))


def test_a_file_gives_the_parameters_that_the_command_line_does_not(space: Space) -> None:
    text = (
        "entry_points:\n  main:\n    parameters: {n: int, sizes: list, loud: {type: bool, "
        "default: false, flag: --loud}}\n    command: echo {n} {sizes} {loud}.\n"
    )
    space.write({"p/MLproject": text, "my.json": '{"n": 1, "sizes": [8, 16], "loud": true}'})
    words = ("p", "--env-manager", "local", "--params-file", "my.json", "-P", "n=2")
    assert (
        "main (n=2, sizes=[8, 16], loud=true)" in space.flowrun("plan", *words[:1], *words[3:]).out
    )
    assert "main | 2 [8, 16] --loud.\n" in space.flowrun("run", *words).out
    [run] = space.runs()
    assert run["params"] == {"n": "2", "sizes": "[8, 16]", "loud": "true"}
    assert re.fullmatch("my.json sha256:[0-9a-f]{64}", run["tags"]["flowrun.params_file"])
