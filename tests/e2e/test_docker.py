"""Steps in containers, on a real engine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import uuid
from pathlib import Path

import pytest

from tests.support.docker import IMAGE, TestEngine
from tests.support.other_user import as_another_user
from tests.support.space import Space
from tests.support.tcp_proxy import tcp_proxy
from tests.support.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.usefixtures("docker")]


def project(commands: str, docker: str = f"image: '{IMAGE}'") -> str:
    """Give a project file whose one command runs in a container."""
    return f"name: boxed\ndocker_env: {{{docker}}}\nentry_points:\n  main:\n    {commands}\n"


def test_a_step_in_a_container_has_its_files_its_record_and_nothing_of_the_caller(
    space: Space,
) -> None:
    commands = """parameters: {data: path, word: string}
    command: "python work.py {data} {word} && env | sort > env.txt"
    outputs: {made: made.txt, variables: env.txt}"""
    script = (
        "import os, pathlib, sys, flowrun\n"
        "flowrun.log_metric('rows', len(open(sys.argv[1]).readlines()))\n"
        "flowrun.set_output('word', sys.argv[2])\n"
        "pathlib.Path(os.environ['HOME'], 'kept').write_text('x')\n"
        "pathlib.Path('made.txt').write_text('made')\n"
        "print('uid', os.getuid())\n"
    )
    space.write({"p/MLproject": project(commands), "p/work.py": script, "rows.txt": "a\nb\nc\n"})
    word = 'it\'s $(id) `id` "quoted"; exit 9 #'
    done = space.flowrun("run", "p", "-P", "data=rows.txt", "-P", f"word={word}", CALLERS="own")
    assert f"main | uid {os.getuid()}" in done.out
    [run] = space.runs()
    assert run["metrics"]["rows"] == 3
    tags = run["tags"]
    assert tags["flowrun.value.word"] == word
    assert (tags["mlflow.project.env"], tags["mlflow.docker.image.uri"]) == ("docker", IMAGE)
    assert tags["mlflow.docker.image.id"].startswith("sha256:")
    assert len(tags["flowrun.env.key"]) == 64
    artifacts = space.home / "artifacts" / "0" / run["run_id"] / "artifacts"
    assert (artifacts / "outputs/made/made.txt").stat().st_uid == os.getuid()
    lock = (artifacts / "flowrun/environment.lock").read_text()
    assert f"image: {IMAGE}\nplatform: linux/" in lock
    assert tags["mlflow.docker.image.id"] in lock
    inside = (artifacts / "outputs/variables/env.txt").read_text()
    assert "CALLERS" not in inside
    assert "UV_CACHE_DIR" not in inside
    assert _left(space) == []


def test_the_genuine_client_logs_from_a_container(space: Space) -> None:
    site = sysconfig.get_path("purelib")
    docker = (
        f"image: '{IMAGE}', volumes: ['$SITE:/site:ro'], "
        "environment: [[PYTHONPATH, /site], [PYTHONWARNINGS, ignore]]"
    )
    script = (
        "import mlflow\n"
        "with mlflow.start_run():\n"
        "    mlflow.log_param('where', 'container')\n"
        "    mlflow.log_metric('loss', 0.25)\n"
        "    mlflow.log_text('hello', 'note.txt')\n"
    )
    space.write({"p/MLproject": project("command: python t.py", docker), "p/t.py": script})
    space.flowrun("run", "p", SITE=site)
    [run] = space.runs()
    assert (run["params"]["where"], run["metrics"]["loss"]) == ("container", 0.25)
    note = space.home / "artifacts" / "0" / run["run_id"] / "artifacts" / "note.txt"
    assert note.read_text() == "hello"


def test_containers_and_processes_hand_data_to_each_other(space: Space) -> None:
    text = f"""\
entry_points:
  main:
    steps:
      inside:
        docker_env:
          image: '{IMAGE}'
          environment: [COPIED, [GIVEN, "a b\\"c'$d"]]
          network: bridge
        run: >-
          echo $COPIED-$GIVEN-$KEY-$OWN > out.txt;
          python -c 'import flowrun; flowrun.log_metric("m", 1)'
        env: {{OWN: mine}}
        secrets: [KEY]
        outputs: {{out: out.txt}}
      outside:
        run: "cat {{given}}; cp {{given}} copy.txt"
        with: {{given: "${{{{ steps.inside.outputs.out }}}}"}}
        outputs: {{copy: copy.txt}}
      back:
        docker_env: {{image: '{IMAGE}', network: none}}
        run: "cat {{given}}; echo key=${{{{KEY:-none}}}}; touch {{given}} || echo read-only"
        with: {{given: "${{{{ steps.outside.outputs.copy }}}}"}}
"""
    space.write({"p/MLproject": text})
    local = ("--env-manager", "local")
    done = space.flowrun("run", "p", *local, COPIED="copied", KEY="s3cret-key")
    assert "outside | copied-a b\"c'$d-s3cret-key-mine" not in done.out
    assert "outside | copied-a b\"c'$d-***-mine" in done.out
    assert "back | key=none" in done.out
    assert space.run_of("inside")["metrics"]["m"] == 1
    assert "s3cret" not in done.text


REFUSED = {
    "variable that is not set": (
        f"image: '{IMAGE}', environment: [NOT_SET_HERE]",
        "MLproject:2:1: docker_env copies the environment variable NOT_SET_HERE, which is not set.",
    ),
    "path that is not absolute": (
        f"image: '{IMAGE}', volumes: ['./data:/data']",
        "docker_env: './data' is no absolute path of this machine.",
    ),
    "path for a shell": (
        f"image: '{IMAGE}', volumes: ['$(touch {{space}}/pwned):/data']",
        "/pwned)' is no absolute path of this machine.",
    ),
    "mount of nothing": (
        f"image: '{IMAGE}', mounts: [{{source: /no/such/data, target: /data}}]",
        "MLproject:2:1: docker_env mounts /no/such/data, which does not exist.",
    ),
    "image that is an option": ("image: --privileged", "invalid reference format"),
    "no Dockerfile": (
        "build: box",
        "MLproject:2:1: docker_env: there is no Dockerfile 'box/Dockerfile' to build from.",
    ),
}


@pytest.mark.parametrize(("env", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_be_seen_to_be_wrong_is_told_before_any_run_exists(
    space: Space, env: str, message: str
) -> None:
    env = env.replace("{space}", str(space.path))
    space.write({"p/MLproject": project("command: echo", env), "p/box/other": ""})
    assert message in space.flowrun("run", "p", code=3).err
    assert space.runs() == []
    assert not (space.path / "pwned").exists()


def test_an_image_that_can_not_be_had_fails_the_step_and_plan_does_not_ask_for_it(
    space: Space,
) -> None:
    docker = "image: '127.0.0.1:9/team/none:1'"
    space.write({"p/MLproject": project("command: echo", docker)})
    space.flowrun("plan", "p")
    done = space.flowrun("run", "p", code=3)
    problem = "image '127.0.0.1:9/team/none:1' is not on this machine and can't be pulled: "
    assert f"MLproject:2:1: {problem}" in done.out
    assert "connection refused" in done.out
    [run] = space.runs()
    assert run["status"] == "FAILED"
    assert problem in run["tags"]["flowrun.error"]


def test_an_image_is_built_once_from_the_projects_files(space: Space) -> None:
    dockerfile = (
        f"FROM {IMAGE} AS base\nARG WORD\nRUN echo $WORD > /word\nCOPY kept* /kept/\n"
        "FROM base AS last\nRUN echo last > /last\n"
    )
    files = {
        "p/MLproject": project(
            "command: 'cat /word; ls /kept; ls /last || true'",
            "build: {context: box, args: {WORD: hello; exit 1}, target: base}",
        ),
        "p/box/Dockerfile": dockerfile,
        "p/box/kept": uuid.uuid4().hex,  # no engine has built this before
        "p/box/kept.not": "",
        "p/box/.dockerignore": "*.not\n",
    }
    space.write(files)
    first = space.flowrun("run", "p").out
    assert "building image flowrun-env:" in first
    assert re.findall(r"main \| (.*)", first)[2:4] == ["hello", "kept"] or "main | kept" in first
    assert "kept.not" not in first
    again = space.flowrun("run", "p").out
    assert "building" not in again
    images = {run["tags"]["mlflow.docker.image.id"] for run in space.runs()}
    assert len(images) == 1


def test_a_dockerfile_that_fails_is_told_with_its_last_lines_and_its_log(space: Space) -> None:
    dockerfile = f"FROM {IMAGE}\nRUN echo far; echo near; exit 7\n"
    space.write({"p/MLproject": project("command: ls", "build: ."), "p/Dockerfile": dockerfile})
    done = space.flowrun("run", "p", code=3)
    assert "can't be built: The command '/bin/sh -c echo far; echo near; exit 7'" in done.out
    assert "near" in done.out
    [log] = (space.home / "cache" / "envs" / "logs").glob("flowrun-env-*.log")
    assert "far\nnear\n" in log.read_text()


def test_more_memory_than_its_resources_is_told(space: Space) -> None:
    commands = (
        "command: \"python -c 'bytearray(300_000_000)'\"\n    resources: {memory: 64MiB, cpus: 1}"
    )
    space.write({"p/MLproject": project(commands)})
    done = space.flowrun("run", "p", code=1)
    why = "its command was killed: it used all the memory that its 'resources' give it"
    assert why in done.out
    assert space.runs()[0]["tags"]["flowrun.error"] == why


def test_another_user_writes_what_becomes_the_callers(space: Space) -> None:
    commands = """command: "id -u; mkdir made; id -un > made/by 2>/dev/null; chmod 700 made"
    outputs: {made: made}"""
    space.write({"p/MLproject": project(commands, f"image: '{IMAGE}', user: '1000:1000'")})
    done = space.flowrun("run", "p")
    assert "main | 1000" in done.out
    made = next((space.home / "artifacts").rglob("made/by"))
    assert made.read_text() == "user\n"
    assert made.stat().st_uid == os.getuid()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run flowrun as somebody else")
def test_a_caller_who_is_not_root_owns_what_the_container_writes(
    space: Space, docker: TestEngine
) -> None:
    commands = "command: 'id -u; echo x > o'\n    outputs: {o: o}"
    space.write({"p/MLproject": project(commands)})
    home = Path("/var/tmp") / f"flowrun-{space.path.name}-{os.getpid()}"  # noqa: S108 - all may enter
    socket = docker.engine.socket
    assert socket is not None
    home.mkdir()
    os.chown(home, 1000, 1000)
    subprocess.run(["cp", "-r", str(space.path / "p"), str(home)], check=True)
    try:
        done = subprocess.run(
            [*as_another_user(socket.stat().st_gid), sys.executable, "-m", "flowrun", "run", "p"],
            cwd=home,
            env=space.environment(FLOWRUN_HOME=str(home / "h"), PYTHONDONTWRITEBYTECODE="1"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "main | 1000" in done.stdout
        [made] = (home / "h" / "artifacts").rglob("outputs/o/o")
        assert made.stat().st_uid == 1000
        assert list((home / "h" / "work").iterdir()) == []
    finally:
        subprocess.run(["rm", "-rf", str(home)], check=True)


def test_docker_args_and_a_baked_image(space: Space) -> None:
    commands = "command: 'hostname; cat /mlflow/projects/code/inside; df /fast | tail -n 1'"
    space.write({"p/MLproject": project(commands), "p/inside": "baked\n"})
    words = ("-A", "hostname=elsewhere", "-A", "network=none", "-A", "tmpfs=/fast:size=1m")
    done = space.flowrun("run", "p", "--build-image", *words)
    assert "main | elsewhere" in done.out
    assert "main | baked" in done.out
    assert re.search(r"main \| tmpfs +1024 ", done.out)
    name = space.runs()[0]["tags"]["mlflow.docker.image.uri"]
    assert re.fullmatch(r"boxed:[0-9a-f]{7}", name)
    refused = space.flowrun("run", "p", "-A", "link=other", code=2).err
    assert "--docker-args link: flowrun has no such argument" in refused


SLEEPER = "command: \"trap 'echo bye; exit 0' TERM; touch {space}/up; while :; do sleep 0.1; done\""
STUBBORN = "command: \"trap '' TERM; touch {space}/up; while :; do sleep 0.1; done\""


def test_ctrl_c_ends_a_container_politely(space: Space) -> None:
    process = _started(space, SLEEPER)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "main | bye" in out
    assert space.runs()[0]["status"] == "KILLED"
    assert _left(space) == []


def test_a_second_ctrl_c_kills_it(space: Space) -> None:
    process = _started(space, STUBBORN)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert any("asking all steps to end" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert _left(space) == []


def test_kill_9_of_flowrun_ends_its_container(space: Space) -> None:
    process = _started(space, STUBBORN)
    assert len(_left(space)) == 1
    process.kill()
    process.communicate(timeout=60)
    until(lambda: _left(space) == [], 30, "the end of the container")


def test_what_a_killed_flowrun_and_supervisor_leave_the_next_one_removes(space: Space) -> None:
    process = _started(space, STUBBORN)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*map(int, children), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert len(_left(space)) == 1
    space.write({"q/MLproject": "entry_points:\n  main: {command: echo}\n"})
    space.flowrun("run", "q", "--env-manager", "local")
    assert _left(space) == []
    assert sorted(run["status"] for run in space.runs()) == ["FINISHED", "KILLED"]


def _started(space: Space, command: str) -> subprocess.Popen[str]:
    """Start a project whose container has begun to work when this returns."""
    docker = f"image: '{IMAGE}', mounts: [{{source: '{space.path}', target: '{space.path}'}}]"
    space.write({"p/MLproject": project(command.replace("{space}", str(space.path)), docker)})
    process = space.start("run", "p")
    until((space.path / "up").exists, 60, "the container")
    return process


def _left(space: Space) -> list[str]:
    """Give the containers that see a folder of this space, running or not."""
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"volume={space.path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


def test_files_are_copied_to_an_engine_that_is_reached_over_a_network(
    space: Space, docker: TestEngine
) -> None:
    commands = """parameters: {data: path}
    command: "python work.py {data}"
    outputs: {made: made, data: {path: sub/data.txt}}"""
    script = (
        "import os, pathlib, sys\n"
        "assert 'flowrun-home' not in pathlib.Path('/proc/mounts').read_text()\n"
        "pathlib.Path('made').mkdir()\n"
        "pathlib.Path('made/upper').write_text(pathlib.Path(sys.argv[1]).read_text().upper())\n"
        "os.symlink('upper', 'made/link')\n"
        "os.symlink('/etc/passwd', 'made/away')\n"
        "with open('sub/data.txt', 'a') as file: file.write('more')\n"
        "with open(os.environ['FLOWRUN_OUTPUT'], 'a') as file: file.write('word=small\\n')\n"
    )
    files = {"p/MLproject": project(commands, f"image: '{IMAGE}', network: none"), "in.txt": "abc"}
    space.write({**files, "p/work.py": script, "p/sub/data.txt": "some "})
    socket = docker.engine.socket
    assert socket is not None
    with tcp_proxy(socket) as host:
        space.flowrun("run", "p", "-P", "data=in.txt", DOCKER_HOST=host)
    [run] = space.runs()
    outputs = space.home / "artifacts" / "0" / run["run_id"] / "artifacts" / "outputs"
    assert (outputs / "made/made/upper").read_text() == "ABC"
    assert (outputs / "data/data.txt").read_text() == "some more"
    assert not (outputs / "made/made/away").exists()
    assert run["tags"]["flowrun.value.word"] == "small"
    assert (space.path / "p/sub/data.txt").read_text() == "some "
