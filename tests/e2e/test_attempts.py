"""Steps that fail are tried again, and those that hang are ended."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support.small_memory import small_memory
from tests.support.space import Space, interrupt

LOCAL = ("--env-manager", "local")
FLAKY = """\
entry_points:
  main:
    steps:
      flaky:
        run: "echo x >> {space}/tried; n=$(wc -l < {space}/tried); echo try $n; [ $n = 3 ]"
        retries: 4
        backoff: 0s
        outputs: {}
      after: {run: echo hello, needs: flaky}
"""


def _write(space: Space, text: str) -> None:
    space.write({"p/MLproject": text.replace("{space}", str(space.path))})


def test_a_step_that_fails_is_tried_until_it_succeeds_each_time_in_a_run_of_its_own(
    space: Space,
) -> None:
    _write(space, FLAKY)
    done = space.flowrun("run", "p", *LOCAL)
    assert "its command ended with exit code 1; attempt 2 of 5" in done.out
    tried = [run for run in space.runs() if run["tags"].get("flowrun.step") == "flaky"]
    assert [(run["tags"]["flowrun.attempt"], run["status"]) for run in reversed(tried)] == [
        ("1", "FAILED"),
        ("2", "FAILED"),
        ("3", "FINISHED"),
    ]
    assert all("flowrun.cpu_time_s" in run["tags"] for run in tried)
    assert tried[-1]["tags"]["flowrun.error"] == "its command ended with exit code 1"
    assert "flowrun.attempt" not in space.run_of("after")["tags"]
    shown = space.flowrun("runs", "show", "latest").out
    assert re.search(r"flaky +succeeded +3 ", shown)
    assert re.search(r"  attempt 2 +failed .* its command ended with exit code 1", shown)
    assert space.flowrun("runs", "logs", "latest", "flaky").out == "try 3\n"


def test_a_step_that_was_tried_again_is_reused_like_any_other(space: Space) -> None:
    _write(space, FLAKY)
    space.flowrun("run", "p", *LOCAL)
    # what happens to failed attempts is no part of what a step is
    _write(space, FLAKY.replace("retries: 4", "timeout: 1h").replace("0s", "1h"))
    done = space.flowrun("run", "p", *LOCAL)
    assert "flaky | reused from run" in done.out
    assert space.read("tried") == "x\n" * 3


def test_a_command_by_itself_is_tried_again_too(space: Space) -> None:
    _write(
        space,
        "entry_points:\n  main:\n    command: 'mkdir {space}/there; [ -e {space}/more ] || "
        "{{ touch {space}/more; exit 3; }}'\n    retries: 1\n    backoff: 0s\n    retry_on: 3\n",
    )
    space.flowrun("run", "p", *LOCAL)
    assert [run["status"] for run in space.runs()] == ["FINISHED", "FAILED"]


def test_only_what_retry_on_names_is_tried_again(space: Space) -> None:
    _write(
        space,
        "entry_points:\n  main:\n    steps:\n"
        "      code: {run: exit 3, retries: 1, retry_on: 4, backoff: 0s}\n"
        "      signal: {run: kill -SEGV $$, retries: 1, retry_on: SIGSEGV, backoff: 0s}\n"
        "      hang: {run: sleep 300, retries: 1, timeout: 1s, retry_on: [timeout], backoff: 0s}\n"
        "      output: {run: 'true', retries: 1, outputs: {a: a.csv}, backoff: 0s}\n",
    )
    done = space.flowrun("run", "p", *LOCAL, "--json", code=1).json()
    assert {step["id"]: (step["attempts"], step["detail"]) for step in done["steps"]} == {
        "code": (1, "its command ended with exit code 3"),
        "signal": (2, "its command was killed by signal 11 (SIGSEGV)"),
        "hang": (2, "its command was ended: it took longer than its timeout, 1.0 s"),
        "output": (
            1,
            "the command ended well, but did not write its declared output 'a': there is no "
            "'a.csv' in the working directory",
        ),
    }


PAUSING = """\
entry_points:
  main:
    steps:
      a: {run: exit 1, retries: 5, backoff: 1h}
      b: {run: sleep 300}
"""


def test_a_cancelled_run_starts_no_further_attempt(space: Space) -> None:
    _write(space, PAUSING)
    process = space.start("run", "p", *LOCAL)
    assert process.stdout is not None
    assert any("attempt 2 of 6 in 1 h" in line for line in process.stdout)
    interrupt(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    statuses = {run["tags"].get("flowrun.step", ""): run["status"] for run in space.runs()}
    assert statuses == {"": "KILLED", "a": "FAILED", "b": "KILLED"}


HUNGRY = """\
entry_points:
  main:
    steps:
      eat:
        run: "[ -e {space}/fed ] || {{ touch {space}/fed; python3 -c 'bytearray(1 << 30)'; }}"
        retries: 1
        retry_on: out-of-memory
        backoff: 0s
"""


def test_a_step_that_the_kernel_kills_for_want_of_memory_says_so(space: Space) -> None:
    _write(space, HUNGRY)
    with small_memory(300 << 20) as processes:
        into = f'echo $$ > {processes} && exec "$@"'
        process = subprocess.run(
            ["sh", "-c", into, "sh", sys.executable, "-m", "flowrun", "run", "p", *LOCAL],
            cwd=space.path,
            env=space.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert process.returncode == 0, process.stdout + process.stderr
    assert (
        "its command was killed: the machine, or its part of it, ran out of memory; it had used "
    ) in process.stdout


TELLS_WHY = """\
entry_points:
  main:
    steps:
      check:
        run: >-
          echo x >> {space}/tried; echo 'failure="the key is sesame,\\nnot 42"' >> $FLOWRUN_OUTPUT;
          echo found=41 >> $FLOWRUN_OUTPUT; exit 3
        retries: 4
        backoff: 0s
        secrets: [KEY]
        continue_on_error: true
      after:
        run: "echo {found} > {space}/found"
        with: {found: "${{ steps.check.outputs.found }}"}
"""


def test_a_step_that_says_why_it_fails_is_not_tried_again(space: Space) -> None:
    _write(space, TELLS_WHY)
    done = space.flowrun("run", "p", *LOCAL, KEY="sesame")
    assert re.search(r"check \| FAILED in .* - the key is \*+,", done.out), done.out
    check = space.run_of("check")
    assert check["tags"]["flowrun.error"] == "the key is ***,\nnot 42"
    assert check["tags"]["flowrun.value.found"] == "41"
    assert space.read("tried") == "x\n"
    assert space.read("found") == "41\n"
