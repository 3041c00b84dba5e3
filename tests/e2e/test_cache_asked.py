"""What people ask of the cache: what would happen, why it did, and parts of a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_cache import LOCAL, TWO_STEPS, ran
from tests.support.genuine import Genuine
from tests.support.space import Space

THREE_STEPS = """\
entry_points:
  main:
    parameters: {word: {type: string, default: pear}}
    steps:
      make:
        run: "echo {word} > out.txt"
        with: {word: "${{ params.word }}"}
        outputs: {words: out.txt}
      count:
        run: "wc -c < {words} > n.txt"
        with: {words: "${{ steps.make.outputs.words }}"}
        outputs: {n: n.txt}
      tell:
        run: "cat {n}"
        with: {n: "${{ steps.count.outputs.n }}"}
      aside: {run: echo aside}
"""


@pytest.fixture
def three(space: Space) -> Space:
    """Give a space with a project of four steps that ran once."""
    space.write({"p/MLproject": THREE_STEPS})
    ran(space, "p")
    return space


def notes(space: Space, *words: str) -> dict[str, str]:
    """Give what `flowrun plan` says of each step."""
    plan = space.flowrun("plan", *words, *LOCAL).out.splitlines()
    pairs = (line.split("  <- ") for line in plan if "  <- " in line)
    return {step.lstrip("│ ").split("─ ")[1].split("  ")[0]: note for step, note in pairs}


def test_a_plan_says_what_would_be_reused_and_why_not(three: Space) -> None:
    made = {step: three.run_of(step)["run_id"] for step in ("make", "count", "tell", "aside")}
    runs = len(three.runs())
    assert notes(three, "p") == {step: f"reuse run {run_id}" for step, run_id in made.items()}
    assert notes(three, "p", "-P", "word=fig") == {
        "make": "run: parameter word: pear -> fig",
        "count": "unknown until make has run",
        "tell": "unknown until make has run",
        "aside": f"reuse run {made['aside']}",
    }
    assert len(three.runs()) == runs
    foreseen = three.flowrun("plan", "p", *LOCAL, "--json").json()["foreseen"]
    assert foreseen["make"] == {
        "verdict": "reuse",
        "why": f"run {made['make']}",
        "run_id": made["make"],
    }


def test_a_plan_builds_no_environment_and_says_that_it_is_not_resolved(space: Space) -> None:
    space.write({"p/MLproject": THREE_STEPS, "p/python_env.yaml": "dependencies: [nothing-such]\n"})
    plan = space.flowrun("plan", "p").out
    assert "make  echo pear > out.txt  <- unknown until its environment is resolved" in plan
    assert not list((space.home / "cache" / "envs").glob("envs/*"))


def test_a_plan_without_its_store_is_a_plan_all_the_same(space: Space) -> None:
    space.write({"p/MLproject": THREE_STEPS})
    done = space.flowrun("plan", "p", MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert "make  echo pear" in done.out
    assert "what would be reused can't be said" in done.err


def test_a_recorded_run_explains_itself(three: Space) -> None:
    ran(three, "p", "-P", "word=fig")
    made = three.run_of("aside")["run_id"]
    rows = three.flowrun("explain", "latest", "--json").json()
    assert {row["step"]: (row["what"], row["why"]) for row in rows} == {
        "make": ("ran", "parameter word: pear -> fig"),
        "count": ("ran", "output of make changed"),
        "tell": ("ran", "output of count changed"),
        "aside": ("reused", f"run {made} did the same"),
    }
    shown = three.flowrun("explain", "latest", "make").out
    assert shown.startswith("step make ran: parameter word: pear -> fig\n")
    assert "parameter word  fig\n" in shown
    wrong = three.flowrun("explain", "latest", "mak", code=None)
    assert "has no step 'mak'" in wrong.err
    assert "Did you mean 'make'?" in wrong.err


def test_rerun_runs_a_step_and_what_it_changes_only(three: Space) -> None:
    assert ran(three, "p", "--rerun", "make") == {
        "make": "asked for (--rerun, --from)",
        "count": "reused",
        "tell": "reused",
        "aside": "reused",
    }


def test_from_runs_a_step_and_all_after_it_and_leaves_others_out(three: Space) -> None:
    asked = "asked for (--rerun, --from)"
    assert ran(three, "p", "--from", "count") == {"make": "reused", "count": asked, "tell": asked}


def test_until_leaves_out_what_a_step_does_not_need(three: Space) -> None:
    assert ran(three, "p", "--until", "count") == {"make": "reused", "count": "reused"}


def test_a_misspelt_step_is_told_before_anything_runs(three: Space) -> None:
    runs = len(three.runs())
    done = three.flowrun("run", "p", *LOCAL, "--until", "cuont", code=2)
    assert "--until cuont: the plan has no step 'cuont'" in done.err
    assert "Did you mean 'count'?" in done.err
    assert len(three.runs()) == runs


def test_a_step_that_wants_no_cache_always_runs(space: Space) -> None:
    text = "entry_points: {main: {steps: {a: {run: echo 1, cache: false}, b: {run: echo 2}}}}"
    space.write({"p/MLproject": text})
    ran(space, "p")
    assert ran(space, "p") == {"a": "cache: false", "b": "reused"}


def test_a_run_that_has_expired_is_not_used(space: Space) -> None:
    text = "entry_points: {main: {steps: {a: {run: echo 1, cache: {expires: 0s}}}}}"
    space.write({"p/MLproject": text})
    ran(space, "p")
    run_id = space.run_of("a")["run_id"]
    assert ran(space, "p") == {"a": f"run {run_id} has expired"}
    space.write({"p/MLproject": text.replace("0s", "1h")})
    assert ran(space, "p") == {"a": "reused"}


def test_a_step_of_another_experiment_is_not_used_where_that_is_said(space: Space) -> None:
    text = "entry_points: {main: {steps: {a: {run: echo 1, cache: {scope: experiment}}}}}"
    space.write({"p/MLproject": text})
    ran(space, "p")
    told = ran(space, "p", "--experiment-name", "other")["a"]
    assert told != "reused"
    assert ran(space, "p", "--experiment-name", "other") == {"a": "reused"}


def test_only_declared_sources_count(space: Space) -> None:
    text = TWO_STEPS.replace("      make:\n", "      make:\n        sources: [own.txt]\n")
    text = text.replace("      use:\n", "      use:\n        sources: [lib, '/shared/*.py']\n")
    files = {"own.txt": "fig\n", "lib/a.py": "1", "x.py": "1"}
    space.repository(
        "r", {"p/MLproject": text, "shared/b.py": "1"} | {f"p/{n}": t for n, t in files.items()}
    )
    ran(space, "r#p")
    space.write({"r/p/x.py": "2"})
    assert ran(space, "r#p") == {"make": "reused", "use": "reused"}
    space.write({"r/shared/b.py": "2"})
    assert ran(space, "r#p") == {"make": "reused", "use": "code: /shared/b.py changed"}
    space.write({"r/p/own.txt": "fig \n"})
    assert ran(space, "r#p") == {"make": "code: own.txt changed", "use": "output of make changed"}


def test_a_step_gets_no_file_beside_its_sources_and_inputs(space: Space) -> None:
    text = """\
entry_points:
  look:
    sources: [own.py, /shared/*.py]
    parameters: {table: path}
    command: "cat {table}; cd ../..; find . -type f | sort"
  main:
    steps: {look: {with: {table: data/table.csv}}}
"""
    own = {"MLproject": text, "own.py": "1", "other.py": "1", "data/table.csv": "42\n"}
    files = {f"deep/p/{name}": content for name, content in own.items()}
    space.repository("r", files | {"shared/b.py": "1", "shared/b.txt": "1"})
    done = space.flowrun("run", "r#deep/p", *LOCAL)
    printed = [line.partition(" | ")[2] for line in done.out.splitlines() if "look | " in line]
    given = ["./deep/p/data/table.csv", "./deep/p/own.py", "./shared/b.py"]
    assert [line for line in printed if line.startswith((".", "4"))] == ["42", *given]


def test_sources_that_mean_no_file_are_refused_before_anything_runs(space: Space) -> None:
    text = "entry_points:\n  main:\n    steps:\n      a: {run: ls, sources: [trian.py]}\n"
    space.write({"p/MLproject": text})
    for command in ("run", "plan"):
        done = space.flowrun(command, "p", *LOCAL, code=2)
        assert "MLproject:4:30: no file of the project is 'trian.py' ('sources')" in done.err


def test_a_pipeline_of_other_branches_and_clones_is_the_same(space: Space) -> None:
    repository = space.repository("r", {"MLproject": TWO_STEPS, "own.txt": "fig\n"})
    ran(space, repository.url)
    repository.git("switch", "-q", "-c", "other")
    repository.commit({"own.txt": "lime\n"})
    assert ran(space, repository.url, "-v", "other")["make"] == "code: own.txt changed"
    repository.git("clone", "-q", ".", str(space.path / "clone"))
    assert ran(space, "clone", "-v", "other") == {"make": "reused", "use": "reused"}


def test_the_cache_works_on_a_genuine_mlflow_server(space: Space, genuine: Genuine) -> None:
    space.write({"p/MLproject": TWO_STEPS, "p/own.txt": "fig\n"})
    server = ("--tracking-uri", genuine.url, "--experiment-name", f"cache-{space.path.name}")
    ran(space, "p", *server)
    assert ran(space, "p", *server) == {"make": "reused", "use": "reused"}
    told = ran(space, "p", *server, "-P", "loud=yes")
    assert told == {"make": "reused", "use": "parameter loud: no -> yes"}


def test_an_input_that_changes_while_its_step_runs_is_not_kept_for_others(
    space: Space, tmp_path: Path
) -> None:
    data = tmp_path / "data.txt"
    data.write_text("1\n")
    text = """\
entry_points:
  read:
    parameters: {data: path}
    command: "echo more >> {data}"
  main:
    parameters: {data: path}
    steps:
      read: {with: {data: "${{ params.data }}"}}
"""
    space.write({"p/MLproject": text})
    ran(space, "p", "-P", f"data={data}")
    tags = space.run_of("read")["tags"]
    assert "flowrun.fingerprint" not in tags
    assert tags["flowrun.cache"].endswith("not kept for others: input data changed meanwhile")


def test_a_run_of_reused_steps_is_verified_and_run_again_as_a_whole(three: Space) -> None:
    run_id = three.flowrun("run", "p", *LOCAL, "--json").json()["run_id"]
    outcome = three.flowrun("run", f"runs:/{run_id}", "--json").json()
    assert {step["id"]: step["why"] for step in outcome["steps"]} == dict.fromkeys(
        ("make", "count", "tell", "aside"), "the cache is off"
    )
    done = three.flowrun("verify", run_id)
    assert f"run {run_id} gives the same again" in done.out
