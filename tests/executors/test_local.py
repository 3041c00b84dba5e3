from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from flowrun.executors.base import Executor, OnLine
from flowrun.executors.local import LocalExecutor
from tests.contracts.executor import ExecutorContract, Lines, Started, is_alive
from tests.support.waiting import until


class TestLocalExecutor(ExecutorContract):
    def make(self, on_line: OnLine) -> Executor:
        return LocalExecutor(on_line, grace_s=0.5)

    def test_cancel_kills_after_the_grace_period(self, executor: Executor, tmp_path: Path) -> None:
        command = "trap '' TERM; echo up; while :; do sleep 0.05; done"
        started = Started(executor, self.job(tmp_path, command))
        until(lambda: started.stdout() == "up\n")
        executor.cancel("j1")
        ended = started.end()
        assert (ended.signal, ended.was_cancelled) == (9, True)

    def test_a_log_that_can_not_be_written_is_told_with_the_end(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        job = self.job(tmp_path, "echo something")
        job.stdout.symlink_to("/dev/full")
        ended = Started(executor, job).end()
        assert (ended.exit_code, ended.log_error) == (0, "No space left on device")

    def test_a_killed_supervisor_takes_its_jobs_with_it_and_they_are_reported(
        self, lines: Lines, tmp_path: Path
    ) -> None:
        executor = LocalExecutor(lines)
        started = Started(executor, self.job(tmp_path, "echo $PPID $$; sleep 300"))
        until(lambda: started.stdout() != "")
        supervisor, job = map(int, started.stdout().split())
        os.kill(supervisor, signal.SIGKILL)
        assert started.end().lost == "flowrun's supervisor process ended before the job did"
        until(lambda: not is_alive(job))
        executor.close()

    def test_what_outlives_a_killed_supervisor_keeps_nobody_waiting(
        self, lines: Lines, tmp_path: Path
    ) -> None:
        executor = LocalExecutor(lines)
        started = Started(executor, self.job(tmp_path, "setsid sleep 300 & echo $PPID $!; wait"))
        until(lambda: started.stdout() != "")
        supervisor, orphan = map(int, started.stdout().split())
        os.kill(supervisor, signal.SIGKILL)
        assert started.end().lost == "flowrun's supervisor process ended before the job did"
        executor.close()
        os.kill(orphan, signal.SIGKILL)


def test_kill_9_of_the_caller_ends_every_process_of_its_jobs(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import pathlib, signal
        from flowrun.executors.base import Job
        from flowrun.executors.local import LocalExecutor
        here = pathlib.Path({str(tmp_path)!r})
        executor = LocalExecutor(lambda *_: None)
        command = "setsid sh -c 'trap \\"\\" TERM; sleep 300' & echo $! $$; wait"
        job = Job("j", ("bash", "-c", command), here, {{"PATH": "/usr/bin:/bin"}},
                  here / "out", here / "err")
        executor.start(job, lambda ended: None)
        signal.pause()
    """)
    caller = subprocess.Popen([sys.executable, "-c", script])
    out = tmp_path / "out"
    until(lambda: out.exists() and len(out.read_text().split()) == 2)
    pids = [int(word) for word in out.read_text().split()]
    assert all(map(is_alive, pids))
    caller.kill()
    caller.wait()
    until(lambda: not any(map(is_alive, pids)), timeout_s=5)
