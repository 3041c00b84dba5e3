"""Temporary outputs go when the last step that needs them is done, and come back when needed."""

from __future__ import annotations

import pytest

from tests.e2e.test_cache import LOCAL, ran
from tests.e2e.test_cache_asked import notes
from tests.support.space import Space

PROJECT = """\
entry_points:
  main:
    parameters: {word: {default: pear}, loud: {default: "no"}, ok: {default: "true"}}
    steps:
      make:
        run: "echo {word} > big.txt; echo kept > small.txt"
        with: {word: "${{ params.word }}"}
        outputs: {big: {path: big.txt, temp: true}, small: small.txt}
      count:
        run: "wc -c < {big}; echo {loud}; {ok}"
        with:
          big: "${{ steps.make.outputs.big }}"
          loud: "${{ params.loud }}"
          ok: "${{ params.ok }}"
      copy:
        run: "cat {big} > copy.txt"
        with: {big: "${{ steps.make.outputs.big }}"}
        outputs: {copy: {path: copy.txt, temp: true}}
      tell:
        run: "cat {copy} {small}; echo {loud}"
        with:
          copy: "${{ steps.copy.outputs.copy }}"
          small: "${{ steps.make.outputs.small }}"
          loud: "${{ params.loud }}"
"""
ALL = ("make", "count", "copy", "tell")


@pytest.fixture
def once(space: Space) -> Space:
    """Give a space whose pipeline ran once."""
    space.write({"p/MLproject": PROJECT})
    space.flowrun("run", "p", *LOCAL)
    return space


def _outputs(space: Space) -> set[str]:
    """Give the files of all runs' outputs that are there."""
    found = space.home.glob("artifacts/0/*/artifacts/outputs/**/*")
    return {path.name for path in found if path.is_file()}


def test_what_is_temporary_goes_and_the_record_says_so(space: Space) -> None:
    space.write({"p/MLproject": PROJECT})
    done = space.flowrun("run", "p", *LOCAL)
    assert _outputs(space) == {"small.txt"}
    assert "make | removed its temporary output big (5 bytes)\n" in done.out
    assert "copy | removed its temporary output copy (5 bytes)\n" in done.out
    shown = space.flowrun("runs", "show", space.run_of("make")["run_id"]).out
    [big] = [line for line in shown.splitlines() if line.strip().startswith("big ")]
    assert "5 bytes  removed 20" in big


def test_what_is_gone_and_not_needed_is_not_made_again(once: Space) -> None:
    gone = ", and nothing needs its temporary output, which is gone"
    planned = notes(once, "p")
    assert planned["make"] == f"reuse run {once.run_of('make')['run_id']}{gone}"
    assert ran(once, "p") == dict.fromkeys(ALL, "reused")


def test_what_is_gone_is_made_again_for_a_step_that_must_run(once: Space) -> None:
    why = "its temporary output is gone, and {} needs it"
    assert notes(once, "p", "-P", "loud=yes") == {
        "make": f"run: {why.format('count')}",
        "count": "unknown until make has run",
        "copy": "unknown until make has run",
        "tell": "unknown until make has run",
    }
    assert ran(once, "p", "-P", "loud=yes") == {
        "make": why.format("count"),
        "count": "parameter loud: no -> yes",
        "copy": why.format("tell"),
        "tell": "parameter loud: no -> yes",
    }
    assert _outputs(once) == {"small.txt"}
    assert ran(once, "p", "-P", "loud=yes") == dict.fromkeys(ALL, "reused")


def test_what_a_failed_step_needs_stays_until_it_has_succeeded(space: Space) -> None:
    space.write({"p/MLproject": PROJECT})
    space.flowrun("run", "p", *LOCAL, "-P", "ok=test -e go", code=1)
    assert _outputs(space) == {"big.txt", "small.txt"}
    space.write({"p/MLproject": PROJECT.replace("wc -c", "wc  -c")})
    assert ran(space, "p") == dict.fromkeys(("make", "copy", "tell"), "reused") | {
        "count": "no finished run of it is known"
    }
    assert _outputs(space) == {"small.txt"}


HANDED_ON = """\
entry_points:
  main:
    steps:
      make:
        matrix: {n: [1, 2]}
        run: "echo {n} > big.txt; printf '{{\\"loss\\": %s}}' {n} > m.json"
        with: {n: "${{ matrix.n }}"}
        metrics: m.json
        outputs: {big: {path: big.txt, temp: true}}
      best: {select: {from: make, metric: loss, mode: min}}
      use: {run: "sleep 0.2; cat {big}", with: {big: "${{ steps.best.outputs.big }}"}}
      nobody: {run: "echo x > x.txt", outputs: {x: {path: x.txt, temp: true}}}
"""


def test_what_a_select_hands_on_stays_until_it_is_read(space: Space) -> None:
    space.write({"p/MLproject": HANDED_ON})
    done = space.flowrun("run", "p", *LOCAL)
    assert "use | 1\n" in done.out
    assert _outputs(space) == set()
    assert ran(space, "p")["use"] == "reused"


def test_a_command_by_itself_keeps_what_it_made(space: Space) -> None:
    text = "entry_points: {main: {command: 'echo x > x', outputs: {x: {path: x, temp: true}}}}"
    space.write({"p/MLproject": text})
    space.flowrun("run", "p", *LOCAL)
    assert _outputs(space) == {"x"}


RESUMED = """\
entry_points:
  main:
    steps:
      make: {run: "echo x > x.txt", outputs: {x: {path: x.txt, temp: true}}}
      use: {run: "cat {x}", with: {x: "${{ steps.make.outputs.x }}"}}
      bad: {run: "test -e SPACE/go", needs: use}
"""


def test_a_resumed_run_does_not_make_again_what_nobody_needs(space: Space) -> None:
    space.write({"p/MLproject": RESUMED.replace("SPACE", str(space.path))})
    space.flowrun("run", "p", *LOCAL, code=1)
    assert _outputs(space) == set()
    before = len(space.runs())
    space.write({"go": ""})
    space.flowrun("resume", "latest")
    assert len(space.runs()) == before + 1  # the second attempt at `bad`
    states = space.flowrun("runs", "show", "latest", "--json").json()["states"]
    assert {state["step"]: state["status"] for state in states} == dict.fromkeys(
        ("make", "use", "bad"), "succeeded"
    )
