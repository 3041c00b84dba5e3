from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.executors.base import Bind, Container, Executor, Job, OnLine
from flowrun.executors.docker import CONTAINER_GONE, DockerExecutor, remove_labelled
from flowrun.executors.docker_request import JOB_LABEL
from flowrun.executors.local import SupervisorProcess
from flowrun.spec.project import MountSpec, MountType
from tests.contracts.executor import ExecutorContract, Started, is_alive
from tests.support.docker import TestEngine
from tests.support.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow]
MIB = 1 << 20


class TestDockerExecutor(ExecutorContract):
    own_variables = frozenset(
        {"HOME", "HOSTNAME", "LANG", "PYTHONUNBUFFERED", "TINI_KILL_PROCESS_GROUP"}
        | {"PIP_CERT", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_ROOT_USER_ACTION"}
        | {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    )
    many = 4

    @pytest.fixture(autouse=True)
    def _engine(self, docker: TestEngine) -> Iterator[None]:
        self.docker = docker
        self.supervisor = SupervisorProcess()
        yield
        self.supervisor.close()

    def make(self, on_line: OnLine) -> Executor:
        return DockerExecutor(on_line, self.docker.engine, self.supervisor, grace_s=0.5)

    def job(
        self, tmp_path: Path, command: str, name: str = "j1", masked: tuple[str, ...] = ()
    ) -> Job:
        container = Container(
            self.docker.image_id,
            binds=(Bind(tmp_path, is_read_only=False),),
            arguments={"network": "none"},
            labels={"flowrun.test": str(tmp_path)},
        )
        return replace(super().job(tmp_path, command, name, masked), container=container)

    def is_alive(self, job: Job, pid: int) -> bool:
        # its processes have numbers of their own, and end with it
        del pid
        [bind] = [bind.path for bind in job.container.binds] if job.container else []
        return bool(self.docker.labelled(f"flowrun.test={bind}"))

    def contained(self, tmp_path: Path, command: str, **changes: object) -> Job:
        job = self.job(tmp_path, command)
        assert job.container is not None
        return replace(job, container=replace(job.container, **changes))  # type: ignore[arg-type]  # each test's own

    def test_cancel_kills_after_the_grace_period(self, executor: Executor, tmp_path: Path) -> None:
        command = "trap '' TERM; echo up; while :; do sleep 0.05; done"
        started = Started(executor, self.job(tmp_path, command))
        until(lambda: started.stdout() == "up\n")
        executor.cancel("j1")
        ended = started.end()
        assert (ended.signal, ended.was_cancelled) == (9, True)

    def test_a_job_cancelled_before_its_container_runs_never_runs(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        started = Started(executor, self.job(tmp_path, "echo ran; sleep 300"))
        executor.cancel("j1", force=True)
        assert started.end().was_cancelled

    def test_more_memory_than_its_limit_is_told(self, executor: Executor, tmp_path: Path) -> None:
        limits = {"memory": "64m", "memory-swap": "64m", "network": "none"}
        command = "python3 -c 'bytearray(200_000_000)'"
        ended = Started(executor, self.contained(tmp_path, command, arguments=limits)).end()
        assert (ended.ran_out_of_memory, ended.signal) == (True, 9)

    def test_it_has_no_more_processors_than_its_limit(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        limits = {"cpus": "0.2", "network": "none"}
        command = (
            "python3 -c 'import time\nw = time.time()\nwhile time.time() < w + 1: pass\n"
            "print(time.process_time())'"
        )
        started = Started(executor, self.contained(tmp_path, command, arguments=limits))
        started.end()
        assert float(started.stdout()) < 0.5

    def test_it_runs_as_the_user_asked_for(self, executor: Executor, tmp_path: Path) -> None:
        tmp_path.chmod(0o777)
        user = {"user": "1000:1000", "network": "none"}
        started = Started(
            executor,
            self.contained(
                tmp_path, "id -u; echo x > made", arguments=user, given_back=(tmp_path,)
            ),
        )
        started.end()
        assert started.stdout() == "1000\n"
        assert (tmp_path / "made").stat().st_uid == os.getuid()

    def test_it_sees_what_is_mounted_and_writes_only_where_it_may(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        for name in ("shown", "volume", "own"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(name)
        job = self.contained(
            tmp_path / "own",
            f"cat {tmp_path}/shown/file /v/file /m/file; df /fast | tail -1;"
            f"for place in {tmp_path}/shown /v /m /fast; do touch $place/new && echo $place; done",
            binds=(Bind(tmp_path / "own", is_read_only=False), Bind(tmp_path / "shown")),
            volumes=(f"{tmp_path / 'volume'}:/v:ro",),
            mounts=(
                MountSpec(MountType.BIND, "/m", str(tmp_path / "volume")),
                MountSpec(MountType.TMPFS, "/fast", size_bytes=MIB),
            ),
        )
        started = Started(executor, job)
        started.end()
        lines = started.stdout().splitlines()
        assert lines[0].startswith("shownvolumevolumetmpfs")
        assert lines[0].split()[1] == "1024"
        assert lines[1:] == ["/m", "/fast"]
        assert (tmp_path / "volume" / "new").exists()

    def test_a_mount_of_nothing_is_lost_with_the_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        job = self.contained(
            tmp_path, "true", mounts=(MountSpec(MountType.BIND, "/m", "/no/such/folder"),)
        )
        ended = Started(executor, job).end()
        assert ended.lost is not None
        assert "bind source path does not exist: /no/such/folder" in ended.lost

    def test_an_image_that_is_gone_is_lost_with_the_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        job = self.contained(tmp_path, "true", image=f"sha256:{'0' * 64}")
        ended = Started(executor, job).end()
        assert ended.lost is not None
        assert "No such image" in ended.lost

    def test_labels_find_what_a_killed_flowrun_and_its_supervisor_left(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        started = Started(executor, self.job(tmp_path, "echo up; sleep 300"))
        until(lambda: started.stdout() == "up\n")
        assert remove_labelled(self.docker.engine, "flowrun.test", str(tmp_path)) == 1
        ended = started.end()
        assert (
            ended.lost == CONTAINER_GONE or ended.signal == 9
        )  # if it was dead before it was gone
        assert self.docker.labelled(f"flowrun.test={tmp_path}") == []


def test_kill_9_of_the_caller_ends_its_containers(docker: TestEngine, tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, pathlib, signal
        from flowrun.envs.docker_engine import connect
        from flowrun.executors.base import Bind, Container, Job
        from flowrun.executors.docker import DockerExecutor
        from flowrun.executors.local import SupervisorProcess
        here = pathlib.Path({str(tmp_path)!r})
        executor = DockerExecutor(lambda *_: None, connect(os.environ), SupervisorProcess())
        binds = (Bind(here, False),)
        container = Container({docker.image_id!r}, binds, arguments={{"network": "none"}})
        command = "trap '' TERM; echo up; while :; do sleep 0.1; done"
        job = Job({tmp_path.name!r}, ("sh", "-c", command), here, {{}},
                  here / "out", here / "err", container=container)
        executor.start(job, lambda ended: None)
        signal.pause()
    """)
    caller = subprocess.Popen([sys.executable, "-c", script])
    out = tmp_path / "out"
    until(lambda: out.exists() and out.read_text() == "up\n")
    assert len(docker.labelled(f"{JOB_LABEL}={tmp_path.name}")) == 1
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    until(lambda: docker.labelled(f"{JOB_LABEL}={tmp_path.name}") == [], 30)
    assert not is_alive(caller.pid)
