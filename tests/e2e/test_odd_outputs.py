"""What commands leave behind that nobody expects: links, pipes, empty folders, floods."""

from __future__ import annotations

import json

import pytest

from tests.support.space import Space

LOCAL = ("--env-manager", "local")

REFUSED = {
    "a link to itself": (
        "ln -s link link",
        "link",
        "the command ended well, but did not write its declared output 'out': there is no 'link' "
        "in the working directory",
    ),
    "a pipe": (
        "mkdir out; mkfifo out/pipe",
        "out",
        "output 'out' can't be kept: out/pipe is no file",
    ),
    "a link that leads out": (
        "mkdir out; ln -s /etc out/etc",
        "out",
        "output 'out' can't be kept: out/etc is a link that leads out of out",
    ),
    "an empty folder": (
        "mkdir out",
        "out",
        "the command ended well, but its declared output 'out' holds no file: 'out' is an empty "
        "directory",
    ),
}


@pytest.mark.parametrize(("command", "path", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_output_that_can_not_be_kept_fails_its_step(
    space: Space, command: str, path: str, message: str
) -> None:
    text = f'entry_points:\n  main: {{command: "{command}", outputs: {{out: {path}}}}}\n'
    space.write({"p/MLproject": text})
    outcome = space.flowrun("run", "p", "--json", *LOCAL, code=1).json()
    assert outcome["steps"][0]["detail"] == message
    assert not any((space.home / "work").iterdir())
    assert not any((space.home / "live").iterdir())


def test_a_step_gets_what_the_one_before_it_left_with_links_followed(space: Space) -> None:
    space.write(
        {
            "p/MLproject": """\
entry_points:
  use:
    parameters: {found: path}
    command: "cd {found} && cat file link deep/link && touch file && echo changed > new"
  main:
    steps:
      make:
        run: >-
          mkdir -p out/deep && echo one > out/file && : > empty &&
          ln -s file out/link && ln -s ../file out/deep/link
        outputs: {out: out, empty: empty}
      use:
        with: {found: "${{ steps.make.outputs.out }}"}
      again:
        entry_point: use
        needs: use
        with: {found: "${{ steps.make.outputs.out }}"}
"""
        }
    )
    done = space.flowrun("run", "p", *LOCAL)
    assert done.out.count("use | one") == done.out.count("again | one") == 3
    made = json.loads(space.run_of("make")["tags"]["flowrun.output.out"])
    used = json.loads(space.run_of("again")["tags"]["flowrun.input.found"])
    assert made == used
    assert made["size_bytes"] == 3 * len("one\n")


def test_more_than_one_request_may_hold_is_recorded_all_the_same(space: Space) -> None:
    numbers = "import json; print(json.dumps({str(n): n for n in range(1500)}))"
    script = f"import sys\nsys.stdout = open('m.json', 'w')\n{numbers}\n"
    space.write(
        {
            "p/flood.py": script,
            "p/MLproject": """\
entry_points:
  main:
    command: "for i in $(seq 150); do echo v$i=$i; done > $FLOWRUN_OUTPUT; python3 flood.py"
    metrics: m.json
""",
        }
    )
    space.flowrun("run", "p", "-q", *(w for n in range(150) for w in ("-P", f"p{n}=x")), *LOCAL)
    [run] = space.runs()
    assert len(run["metrics"]) == 1500
    assert len(run["params"]) == 150
    assert len([key for key in run["tags"] if key.startswith("flowrun.value.")]) == 150
