"""`flowrun run runs:/ID`: a recorded run, run again."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import ONE_STEP, PIPELINE
from tests.support.space import Space

LOCAL = ("--env-manager", "local")
READER = {
    "MLproject": """\
entry_points:
  main:
    parameters:
      data: path
      word: {type: string, default: none}
    command: "sort {data} > out.txt; echo {word} $PYTHONHASHSEED $SOURCE_DATE_EPOCH >> out.txt"
    outputs: {sorted: out.txt}
""",
}


def _ran(space: Space, *words: str) -> str:
    run_id: str = space.flowrun("run", *words, *LOCAL, "--json").json()["run_id"]
    return run_id


def _show(space: Space, run_id: str) -> Any:  # noqa: ANN401 - JSON
    return space.flowrun("runs", "show", run_id, "--json").json()


def _digests(space: Space, run_id: str) -> dict[str, str]:
    steps = _show(space, run_id)["steps"] or [_show(space, run_id)]
    return {
        f"{step['tags']['flowrun.step']} {key}": json.loads(value)["sha256"]
        for step in steps
        for key, value in step["tags"].items()
        if key.startswith("flowrun.output.")
    }


def test_run_is_run_again_as_it_was_though_its_project_has_moved_on(space: Space) -> None:
    project = space.repository("p", PIPELINE)
    first = _ran(space, "p", "-P", "lr=0.4", "--experiment-name", "team")
    project.commit({"words.txt": "nothing\n", "MLproject": "entry_points: {}\n"}, "moved on")
    again = space.flowrun("run", f"runs:/{first[:8]}", "--json").json()["run_id"]
    assert _digests(space, again) == _digests(space, first)
    then, now = _show(space, first), _show(space, again)
    assert now["params"] == then["params"] == {"lr": "0.4"}
    assert now["tags"]["flowrun.again"] == first
    assert now["experiment_id"] == then["experiment_id"] != "0"
    for tag in ("flowrun.source.tree", "mlflow.source.git.commit", "mlflow.source.name"):
        assert now["tags"][tag] == then["tags"][tag]


def test_parameters_may_be_changed(space: Space) -> None:
    space.repository("p", PIPELINE)
    first = _ran(space, "p", "-P", "lr=0.4")
    again = space.flowrun("run", f"runs:/{first}", "-P", "lr=0.05", "--json").json()["run_id"]
    assert _show(space, again)["params"] == {"lr": "0.05"}
    wrong = space.flowrun("run", f"runs:/{first}", "-P", "rl=1", code=2)
    assert "pipeline 'main' has no parameter 'rl'" in wrong.err


def test_changed_files_are_part_of_what_is_run_again(space: Space) -> None:
    project = space.repository("p", PIPELINE)
    project.write({"words.txt": "plum\nfig\n"})
    first = _ran(space, "p")
    project.git("checkout", "--quiet", "words.txt")
    again = _ran(space, f"runs:/{first}")
    assert _digests(space, again) == _digests(space, first)
    assert _show(space, again)["tags"]["mlflow.source.git.dirty"] == "true"


def test_record_alone_is_enough_on_another_machine(space: Space) -> None:
    space.write({f"p/{name}": text for name, text in PIPELINE.items()})  # not even in git
    first = _ran(space, "p")
    shutil.rmtree(space.path / "p")
    shutil.rmtree(space.home / "cache")
    again = _ran(space, f"runs:/{first}")
    assert _digests(space, again) == _digests(space, first)


def test_called_project_is_the_commit_that_it_was(space: Space) -> None:
    called = space.repository("called", ONE_STEP)
    called.git("tag", "v1")
    caller = "entry_points:\n  main:\n    steps:\n      one: {project: ../called, version: v1}\n"
    space.repository("p", {"MLproject": caller})
    first = _ran(space, "p")
    called.commit({"MLproject": "entry_points: {main: {command: 'exit 9'}}\n"}, "broken")
    called.git("tag", "--force", "v1")
    again = _ran(space, f"runs:/{first}")
    assert "alpha=0.5" in space.flowrun("runs", "logs", again, "one").out


def test_files_of_a_called_project_are_part_of_its_code(space: Space) -> None:
    called = (
        "entry_points:\n  main:\n    parameters: {own: {type: path, default: own.txt}}\n"
        "    command: 'cat {own} > out'\n    outputs: {out: out}\n"
    )
    space.repository("called", {"MLproject": called, "own.txt": "mine\n"})
    caller = "entry_points:\n  main:\n    steps:\n      one: {project: ../called}\n"
    space.repository("p", {"MLproject": caller})
    first = _ran(space, "p")
    assert _digests(space, _ran(space, f"runs:/{first}")) == _digests(space, first)


def test_relative_input_from_where_flowrun_was_called_is_looked_at_too(space: Space) -> None:
    text = "entry_points:\n  main:\n    steps:\n      one:\n        entry_point: read\n"
    text += "        with: {data: near.txt}\n"
    text += "  read:\n    parameters: {data: path}\n    command: 'cat {data}'\n"
    space.repository("p", {"MLproject": text})
    space.write({"near.txt": "a\n"})
    first = _ran(space, "p")
    _ran(space, f"runs:/{first}")
    space.write({"near.txt": "b\n"})
    refused = space.flowrun("run", f"runs:/{first}", code=3)
    assert "step 'one': input 'data', near.txt, has changed" in refused.err


def test_input_that_has_changed_is_named_before_anything_runs(space: Space) -> None:
    space.repository("p", READER)
    space.write({"data.txt": "b\na\n"})
    first = _ran(space, "p", "-P", "data=data.txt")
    same = _ran(space, f"runs:/{first}")
    assert _digests(space, same) == _digests(space, first)
    space.write({"data.txt": "c\n", "other.txt": "b\na\n"})
    count = len(space.runs())
    refused = space.flowrun("run", f"runs:/{first}", code=3)
    path = space.path / "data.txt"
    assert f"step 'main': input 'data', {path}, has changed: its sha256 was " in refused.err
    other = _ran(space, f"runs:/{first}", "-P", "data=other.txt")
    assert _digests(space, other) == _digests(space, first)
    path.unlink()
    assert f"{path}, is gone" in space.flowrun("run", f"runs:/{first}", code=3).err
    assert len(space.runs()) == count + 1


def test_code_that_is_gone_is_said_to_be_gone_before_anything_runs(space: Space) -> None:
    project = space.repository("p", ONE_STEP)
    bare = space.path / "bare.git"
    project.git("clone", "--quiet", "--bare", ".", str(bare))
    first = _ran(space, bare.as_uri())
    shutil.rmtree(bare)
    again = _ran(space, f"runs:/{first}")  # this machine's cache has it
    assert _show(space, again)["status"] == "FINISHED"
    shutil.rmtree(space.home / "cache")
    refused = space.flowrun("run", f"runs:/{first}", code=3)
    assert f"its code (commit {project.head}) can't be had again" in refused.err


def test_in_place_run_can_not_be_run_again(space: Space) -> None:
    space.repository("p", ONE_STEP)
    first = _ran(space, "p", "--in-place")
    assert "its code was not kept" in space.flowrun("run", f"runs:/{first}", code=3).err


@pytest.mark.parametrize("words", [("-v", "main"), ("-e", "other")], ids=" ".join)
def test_recorded_run_has_its_own_version_and_entry_point(
    space: Space, words: tuple[str, ...]
) -> None:
    space.repository("p", ONE_STEP)
    first = _ran(space, "p")
    space.flowrun("run", f"runs:/{first}", *words, code=2)


def test_unknown_run_is_wrong_input(space: Space) -> None:
    assert "there is no run" in space.flowrun("run", "runs:/0123456789", code=2).err


def test_require_clean_refuses_what_is_not_exactly_a_commit(space: Space) -> None:
    project = space.repository("p", ONE_STEP)
    space.write({"plain/MLproject": ONE_STEP["MLproject"]})
    space.flowrun("run", "p", *LOCAL, "--require-clean")
    project.write({"new.txt": "new"})
    refused = space.flowrun("run", "p", *LOCAL, "--require-clean", code=2)
    assert f"has changes that are not in commit {project.head}" in refused.err
    space.flowrun("run", "p", "-v", "main", *LOCAL, "--require-clean")
    assert "needs code in git" in space.flowrun("run", "plain", "--require-clean", code=2).err


def test_steps_get_a_hash_seed_and_the_commits_time_unless_they_say_otherwise(
    space: Space,
) -> None:
    command = "echo $PYTHONHASHSEED $SOURCE_DATE_EPOCH"
    text = f"""\
entry_points:
  main:
    steps:
      plain: {{run: "{command}"}}
      own: {{run: "{command}", env: {{PYTHONHASHSEED: "7", SOURCE_DATE_EPOCH: "8"}}}}
"""
    project = space.repository("p", {"MLproject": text})
    made = project.git("show", "--no-patch", "--format=%ct", "HEAD").strip()
    run_id = space.flowrun("run", "p", *LOCAL, "--json", PYTHONHASHSEED="3").json()["run_id"]
    assert space.flowrun("runs", "logs", run_id, "plain").out == f"0 {made}\n"
    assert space.flowrun("runs", "logs", run_id, "own").out == "7 8\n"
    space.write({"plain/MLproject": text})
    run_id = _ran(space, "plain", "--no-cache")
    assert space.flowrun("runs", "logs", run_id, "plain").out == "0 315532800\n"


def test_digests_of_inputs_from_everywhere_are_recorded(space: Space) -> None:
    space.repository("p", READER)
    space.write({"outside/d.txt": "x\n"})
    first = _ran(space, "p", "-P", f"data={space.path / 'outside/d.txt'}")
    kept = f"runs:/{first}/outputs/sorted/out.txt"
    second = _ran(space, "p", "-P", f"data={kept}")
    for run_id, uri in ((first, str(space.path / "outside/d.txt")), (second, kept)):
        content = json.loads(_show(space, run_id)["tags"]["flowrun.input.data"])
        assert (content["uri"], len(content["sha256"])) == (uri, 64)


def test_input_from_the_web_that_has_changed_fails_its_step_before_the_command(
    space: Space, tmp_path: Path
) -> None:
    space.repository("p", READER)
    with serving_files(tmp_path / "web") as url:
        (tmp_path / "web" / "d.txt").write_text("b\n")
        first = _ran(space, "p", "-P", f"data={url}/d.txt")
        assert _digests(space, _ran(space, f"runs:/{first}")) == _digests(space, first)
        (tmp_path / "web" / "d.txt").write_text("c\n")
        failed = space.flowrun("run", f"runs:/{first}", code=1)
        assert f"its input 'data', {url}/d.txt, has changed" in failed.out
        report = space.flowrun("verify", first, "--json", code=1).json()
        [step] = report["steps"]
        assert f"its input 'data' ({url}/d.txt) has changed" in step["causes"][0]


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    """Serve a folder's files by HTTP, on loopback."""
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
