"""What every executor promises; a backend's tests subclass this and say how to make one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.errors import ExecutorError
from flowrun.executors.base import Executor, Job, JobEnded, OnLine, Stream
from tests.support.waiting import until


class Lines:
    """Collects what jobs print."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Stream, str]] = []

    def __call__(self, job_id: str, stream: Stream, line: str, /) -> None:
        self.seen.append((job_id, stream, line))

    def of(self, job_id: str) -> list[str]:
        return [line for job, _, line in self.seen if job == job_id]


class Started:
    """A started job and its end."""

    def __init__(self, executor: Executor, job: Job) -> None:
        self.job = job
        self.ends: list[JobEnded] = []
        self._over = threading.Event()
        executor.start(job, self._report)

    def _report(self, ended: JobEnded) -> None:
        self.ends.append(ended)
        self._over.set()

    def end(self) -> JobEnded:
        assert self._over.wait(30), f"job {self.job.id} did not end"
        return self.ends[0]

    def stdout(self) -> str:
        return self.job.stdout.read_bytes().decode() if self.job.stdout.exists() else ""

    def stderr(self) -> str:
        return self.job.stderr.read_bytes().decode() if self.job.stderr.exists() else ""


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class ExecutorContract:
    """Subclass it and give `make`."""

    make: Callable[[OnLine], Executor]
    own_variables: frozenset[str] = frozenset()
    """What the place itself adds to a job's variables."""
    many: int = 20
    """Jobs at the same time."""

    def is_alive(self, job: Job, pid: int) -> bool:
        """Tell whether a process of a job, by the number it has for itself, still runs."""
        del job
        return is_alive(pid)

    @pytest.fixture
    def lines(self) -> Lines:
        return Lines()

    @pytest.fixture
    def executor(self, lines: Lines) -> Iterator[Executor]:
        executor = self.make(lines)
        yield executor
        executor.close()

    def job(
        self, tmp_path: Path, command: str, name: str = "j1", masked: tuple[str, ...] = ()
    ) -> Job:
        return Job(
            id=name,
            argv=("bash", "-c", command),
            directory=tmp_path,
            variables={"PATH": os.defpath + ":/usr/local/bin"},
            stdout=tmp_path / f"{name}.out",
            stderr=tmp_path / f"{name}.err",
            masked=masked,
        )

    def test_tells_exit_code_and_keeps_both_streams(
        self, executor: Executor, lines: Lines, tmp_path: Path
    ) -> None:
        started = Started(executor, self.job(tmp_path, "echo out; echo err >&2; exit 3"))
        ended = started.end()
        assert (ended.exit_code, ended.signal, ended.lost) == (3, None, None)
        assert (started.stdout(), started.stderr()) == ("out\n", "err\n")
        assert sorted(lines.seen) == [("j1", Stream.STDERR, "err"), ("j1", Stream.STDOUT, "out")]
        assert 0 < ended.start_time_ms <= ended.end_time_ms

    def test_tells_the_signal_that_killed_the_job(self, executor: Executor, tmp_path: Path) -> None:
        ended = Started(executor, self.job(tmp_path, "kill -9 $$")).end()
        assert (ended.exit_code, ended.signal, ended.was_cancelled) == (None, 9, False)

    def test_a_command_that_is_not_there_is_lost_with_the_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        job = self.job(tmp_path, "")
        missing = replace(job, argv=("no-such-command",), variables={})
        ended = Started(executor, missing).end()
        assert ended.lost == "no-such-command: No such file or directory"

    def test_measures_the_memory_and_cpu_time_of_the_whole_tree(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        hungry = "import time; b = bytearray(80 << 20); t = time.process_time()\n"
        hungry += "while time.process_time() < t + 0.3: pass"
        hungry += "\ntime.sleep(2.5)  # some places can only look now and then"
        ended = Started(executor, self.job(tmp_path, f'python3 -c "{hungry}"; true')).end()
        assert ended.usage is not None
        assert ended.usage.peak_memory_bytes > 80 << 20
        assert ended.usage.cpu_time_s > 0.3

    def test_cancel_ends_a_job_that_listens_to_sigterm(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        command = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        started = Started(executor, self.job(tmp_path, command))
        until(lambda: started.stdout() == "up\n")
        executor.cancel("j1")
        ended = started.end()
        assert ended.was_cancelled
        assert started.stdout() == "up\nbye\n"

    def test_forced_cancel_ends_a_tree_that_ignores_sigterm(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        command = "trap '' TERM; (trap '' TERM; sleep 300) & echo $!; wait"
        started = Started(executor, self.job(tmp_path, command))
        until(lambda: started.stdout() != "")
        executor.cancel("j1", force=True)
        assert started.end().was_cancelled
        until(lambda: not self.is_alive(started.job, int(started.stdout())))

    def test_a_job_that_takes_too_long_is_asked_to_end(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        command = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        started = Started(executor, replace(self.job(tmp_path, command), timeout_s=1))
        ended = started.end()
        assert (ended.timed_out, ended.was_cancelled) == (True, False)
        assert started.stdout() == "up\nbye\n"

    def test_a_tree_that_takes_too_long_and_ignores_sigterm_is_killed(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        command = "trap '' TERM; (trap '' TERM; sleep 300) & echo $!; wait; sleep 300"
        started = Started(executor, replace(self.job(tmp_path, command), timeout_s=1))
        assert started.end().timed_out
        until(lambda: not self.is_alive(started.job, int(started.stdout())))

    def test_a_job_that_ends_in_time_did_not_time_out(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        ended = Started(executor, replace(self.job(tmp_path, "exit 3"), timeout_s=300)).end()
        assert (ended.exit_code, ended.timed_out) == (3, False)

    def test_cancel_of_an_unknown_or_ended_job_is_fine(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        Started(executor, self.job(tmp_path, "true")).end()
        executor.cancel("j1")
        executor.cancel("never-started")
        assert Started(executor, self.job(tmp_path, "exit 4", "j2")).end().exit_code == 4

    def test_nothing_of_a_job_outlives_it(self, executor: Executor, tmp_path: Path) -> None:
        daemon = "setsid sh -c 'trap \"\" TERM; sleep 300' </dev/null >/dev/null 2>&1 & echo $!"
        started = Started(executor, self.job(tmp_path, f"{daemon}; sleep 0.1"))
        assert started.end().exit_code == 0
        until(lambda: not self.is_alive(started.job, int(started.stdout())), 5)

    def test_close_ends_what_runs_and_reports_it(self, executor: Executor, tmp_path: Path) -> None:
        started = Started(executor, self.job(tmp_path, "echo $$; sleep 300"))
        until(lambda: started.stdout() != "")
        pid = int(started.stdout())
        executor.close()
        assert len(started.ends) == 1
        until(lambda: not self.is_alive(started.job, pid))

    def test_jobs_side_by_side_are_told_apart(
        self, executor: Executor, lines: Lines, tmp_path: Path
    ) -> None:
        jobs = [self.job(tmp_path, f"echo {n}; exit {n}", f"j{n}") for n in range(self.many)]
        started = [Started(executor, job) for job in jobs]
        assert [s.end().exit_code for s in started] == list(range(self.many))
        for number in range(self.many):
            assert lines.of(f"j{number}") == [str(number)]

    def test_secrets_are_masked_before_they_are_kept_or_shown(
        self, executor: Executor, lines: Lines, tmp_path: Path
    ) -> None:
        job = self.job(tmp_path, "printf 'key=s3cr'; sleep 0.1; echo 'et.'", masked=("s3cret",))
        started = Started(executor, job)
        started.end()
        assert started.stdout() == "key=***.\n"
        assert lines.of("j1") == ["key=***."]

    def test_a_progress_bar_shows_its_last_state_and_keeps_all(
        self, executor: Executor, lines: Lines, tmp_path: Path
    ) -> None:
        started = Started(executor, self.job(tmp_path, r"printf '1%%\r50%%\r100%%\n'"))
        started.end()
        assert lines.of("j1") == ["100%"]
        assert started.stdout() == "1%\r50%\r100%\n"

    def test_output_without_a_line_end_is_not_held_back_for_ever(
        self, executor: Executor, lines: Lines, tmp_path: Path
    ) -> None:
        started = Started(executor, self.job(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' x"))
        started.end()
        assert started.job.stdout.stat().st_size == 1_000_000
        assert len(lines.of("j1")) > 1
        assert sum(map(len, lines.of("j1"))) == 1_000_000

    def test_a_job_gets_its_variables_and_nothing_else(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        started = Started(executor, self.job(tmp_path, "env | cut -d= -f1 | sort"))
        started.end()
        known = {"FLOWRUN_JOB_ID", "PATH", "PWD", "SHLVL", "_", "OLDPWD"}
        assert set(started.stdout().split()) <= known | self.own_variables

    def test_stdin_is_empty(self, executor: Executor, tmp_path: Path) -> None:
        started = Started(executor, self.job(tmp_path, "cat; echo over"))
        started.end()
        assert started.stdout() == "over\n"

    def test_a_secret_in_a_line_without_end_is_never_cut_in_two(
        self, executor: Executor, lines: Lines, tmp_path: Path
    ) -> None:
        # The places where a long line is cut fall on every byte of some of the secrets.
        secret = "s3cret-" * 5
        script = f"import sys; sys.stdout.write({secret!r} * 40_000)"
        job = self.job(tmp_path, f'python3 -c "{script}"', masked=(secret,))
        started = Started(executor, job)
        started.end()
        assert started.stdout() == "***" * 40_000
        assert "".join(lines.of("j1")) == "***" * 40_000

    def test_a_nul_in_a_word_is_lost_with_the_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        ended = Started(executor, self.job(tmp_path, "echo a\0b")).end()
        assert ended.lost == "bash: Invalid argument"

    def test_close_reports_every_job_once_with_all_it_printed(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        jobs = [self.job(tmp_path, f"echo {n}; sleep 300", f"j{n}") for n in range(self.many)]
        started = [Started(executor, job) for job in jobs]
        until(lambda: all(job.stdout.exists() for job in jobs))
        executor.close()
        assert [len(s.ends) for s in started] == [1] * self.many
        assert [s.stdout() for s in started] == [f"{n}\n" for n in range(self.many)]

    def test_a_job_started_after_the_end_is_refused(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        executor.close()
        with pytest.raises(ExecutorError):
            executor.start(self.job(tmp_path, "true"), lambda _: None)
