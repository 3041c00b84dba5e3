"""What a step's script does with `import flowrun`, in a process that has the light copy only."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.tracking.entities import RunStatus
from tests.fluent.light import Light
from tests.support.odd_server import Reply, odd_server
from tests.support.serving import TOKEN, Served, serving

RUN_ID = "a" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


@pytest.fixture
def light(tmp_path: Path) -> Light:
    return Light.copy(tmp_path)


def step_variables(server: Served, run_id: str | None = None) -> dict[str, str]:
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_TOKEN": TOKEN}
    return variables | ({"MLFLOW_RUN_ID": run_id} if run_id else {})


def prints(light: Light, server: Served, script: str, run_id: str | None = None) -> str:
    done = light.run(f"import flowrun\n{script}", step_variables(server, run_id))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_step_logs_into_its_own_run_without_starting_one(light: Light, server: Served) -> None:
    run_id = server.new_run()
    prints(
        light,
        server,
        "flowrun.log_param('alpha', 0.3)\n"
        "flowrun.log_params({f'p{n}': n for n in range(150)})\n"
        "for step in range(2500): flowrun.log_metric('loss', 1 / (step + 1), step=step)\n"
        "flowrun.log_metrics({'rmse': 0.5, 'odd': float('nan')}, step=3, timestamp=17)\n"
        "flowrun.set_tag('kind', 'wine')",
        run_id,
    )
    run = server.tracking.get_run(run_id)
    assert run.params["alpha"] == "0.3"
    assert len(run.params) == 151
    assert run.tags["kind"] == "wine"
    assert (run.metrics["rmse"].value, run.metrics["rmse"].timestamp_ms) == (0.5, 17)
    history = server.tracking.get_metric_history(run_id, "loss").items
    assert [point.step for point in history] == list(range(2500))


def test_a_step_finds_its_run_after_mlflows_client_has_taken_its_variable_away(
    light: Light, server: Served
) -> None:
    run_id = server.new_run()
    script = (
        "import os\n"
        "assert os.environ.pop('MLFLOW_RUN_ID')\n"
        "import flowrun\n"
        "flowrun.log_metric('a', 1)"
    )
    variables = step_variables(server, run_id) | {"FLOWRUN_RUN_ID": run_id}
    done = light.run(script, variables)
    assert (done.returncode, done.stderr) == (0, "")
    run = server.tracking.get_run(run_id)
    assert set(run.metrics) == {"a"}
    assert run.info.status is RunStatus.RUNNING


def test_how_a_steps_run_ends_is_left_to_the_engine(light: Light, server: Served) -> None:
    run_id = server.new_run()
    prints(light, server, "flowrun.log_metric('a', 1)", run_id)
    assert server.tracking.get_run(run_id).info.status is RunStatus.RUNNING


def test_start_run_takes_the_steps_run_once(light: Light, server: Served) -> None:
    run_id = server.new_run()
    out = prints(
        light,
        server,
        "with flowrun.start_run() as run: print(run.info.run_id)\n"
        "with flowrun.start_run(run_name='second') as run: print(run.info.run_id)",
        run_id,
    )
    first, second = out.split()
    assert first == run_id
    assert second != run_id
    assert server.tracking.get_run(first).info.status is RunStatus.FINISHED
    assert server.tracking.get_run(second).info.run_name == "second"


def test_a_nested_run_belongs_to_the_active_one(light: Light, server: Served) -> None:
    run_id = server.new_run()
    child = prints(
        light,
        server,
        "with flowrun.start_run():\n"
        "    with flowrun.start_run(nested=True, tags={'n': 1}, description='inner') as child:\n"
        "        flowrun.log_metric('inner', 1)\n"
        "    flowrun.log_metric('outer', 2)\n"
        "print(child.info.run_id)",
        run_id,
    )
    run = server.tracking.get_run(child)
    assert run.tags["mlflow.parentRunId"] == run_id
    assert (run.tags["n"], run.tags["mlflow.note.content"]) == ("1", "inner")
    assert list(run.metrics) == ["inner"]
    assert list(server.tracking.get_run(run_id).metrics) == ["outer"]


def test_a_second_run_must_be_nested_or_come_later(light: Light, server: Served) -> None:
    done = light.run(
        "import flowrun\nflowrun.start_run()\nflowrun.start_run()",
        step_variables(server, run_id := server.new_run()),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"flowrun.tracking.light_http.TrackingError: run {run_id} is still active: end it with "
        "flowrun.end_run(), or begin a child with start_run(nested=True)"
    )


def test_a_run_fails_with_the_block_it_was_started_for(light: Light, server: Served) -> None:
    run_id = server.new_run()
    done = light.run(
        "import flowrun\nwith flowrun.start_run():\n    flowrun.log_metric('a', 1)\n    1 / 0",
        step_variables(server, run_id),
    )
    assert done.returncode == 1
    run = server.tracking.get_run(run_id)
    assert run.info.status is RunStatus.FAILED
    assert run.metrics["a"].value == 1


@pytest.mark.parametrize(
    ("ending", "status"), [("", RunStatus.FINISHED), ("1 / 0", RunStatus.FAILED)]
)
def test_a_run_begun_by_logging_ends_with_the_script(
    light: Light, server: Served, ending: str, status: RunStatus
) -> None:
    script = "import flowrun\nflowrun.log_metric('a', 1)\nprint(flowrun.active_run().info.run_id)\n"
    done = light.run(script + ending, step_variables(server))
    run = server.tracking.get_run(done.stdout.strip())
    assert run.info.status is status
    assert run.info.user_id == "ada"
    assert run.metrics["a"].value == 1


def test_an_experiment_is_made_when_it_is_first_named(light: Light, server: Served) -> None:
    script = (
        "print(flowrun.set_experiment('fluent'))\n"
        "with flowrun.start_run(): flowrun.log_param('a', 1)\n"
        "print([run.data.params for run in flowrun.search_runs()])\n"
        "print(flowrun.search_runs(experiment_names=['fluent'], filter_string='params.a = \"2\"'))"
    )
    experiment_id, params, none = prints(light, server, script).splitlines()
    experiment = server.tracking.get_experiment(experiment_id)
    assert experiment.name == "fluent"
    assert (params, none) == ("[{'a': '1'}]", "[]")


def test_an_experiment_of_the_environment_is_where_new_runs_go(
    light: Light, server: Served
) -> None:
    variables = step_variables(server) | {"MLFLOW_EXPERIMENT_NAME": "from outside"}
    done = light.run("import flowrun\nprint(flowrun.start_run().info.experiment_id)", variables)
    assert server.tracking.get_experiment(done.stdout.strip()).name == "from outside"


def test_reading_sees_what_was_logged_before(light: Light, server: Served) -> None:
    out = prints(
        light,
        server,
        "run = flowrun.start_run()\n"
        "for step in range(100): flowrun.log_metric('loss', step, step=step)\n"
        "read = flowrun.get_run(run.info.run_id)\n"
        "print(read.data.metrics, read.info.status, read.data.tags['mlflow.source.type'])",
    )
    assert out == "{'loss': 99.0} RUNNING LOCAL"


def test_artifacts_of_every_kind_are_stored(light: Light, server: Served) -> None:
    run_id = server.new_run()
    folder = light.folder / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "deep" / "ä b.bin").write_bytes(bytes(range(256)) * 20_000)
    (folder / "deep" / "empty").touch()
    prints(
        light,
        server,
        "class Figure:\n"
        "    def savefig(self, file, *, format): file.write(format.encode())\n"
        "class Image:\n"
        "    def save(self, file, *, format): file.write(format.encode())\n"
        "flowrun.log_artifact('out/a.txt')\n"
        "flowrun.log_artifact('out', 'in')\n"
        "flowrun.log_artifacts('out', 'all')\n"
        "flowrun.log_text('größe', 'notes/n.txt')\n"
        "flowrun.log_dict({'a': [1]}, 'c.json')\n"
        "flowrun.log_figure(Figure(), 'plots/f.svg')\n"
        "flowrun.log_image(Image(), 'i.jpg')\n",
        run_id,
    )
    root = server.artifacts / "0" / run_id / "artifacts"
    stored = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    inside = {"a.txt", "deep/empty", "deep/ä b.bin"}
    assert stored == {
        "a.txt",
        *(f"in/out/{name}" for name in inside),
        *(f"all/{name}" for name in inside),
        "notes/n.txt",
        "c.json",
        "plots/f.svg",
        "i.jpg",
    }
    assert (root / "all" / "deep" / "ä b.bin").read_bytes() == bytes(range(256)) * 20_000
    assert (root / "notes" / "n.txt").read_text() == "größe"
    assert json.loads((root / "c.json").read_text()) == {"a": [1]}
    assert (root / "plots" / "f.svg").read_text() == "svg"
    assert (root / "i.jpg").read_text() == "jpeg"


def test_artifacts_go_straight_to_a_folder_of_this_machine(
    light: Light, server: Served, tmp_path: Path
) -> None:
    place = tmp_path / "shared"
    experiment_id = server.tracking.create_experiment("files", artifact_location=place.as_uri())
    run_id = server.tracking.create_run(experiment_id).info.run_id
    prints(light, server, "flowrun.log_text('x', 'in/a.txt')", run_id)
    assert (place / run_id / "artifacts" / "in" / "a.txt").read_text() == "x"


FAILURES: dict[str, tuple[str, str]] = {
    "changed param": (
        "flowrun.log_param('a', 1); flowrun.log_param('a', 2)",
        "Changing param values is not allowed",
    ),
    "missing file": (
        "flowrun.log_artifact('nowhere.txt')",
        "can't store 'nowhere.txt' as an artifact: No such file or directory",
    ),
    "missing folder": ("flowrun.log_artifacts('nowhere')", "there is no folder 'nowhere'"),
    "climbing artifact": ("flowrun.log_text('x', '../../x')", "it climbs with '..'"),
    "missing run": ("flowrun.get_run('0' * 32)", "TrackingError: Run with id="),
    "output outside a step": (
        "flowrun.set_output('a', 1)",
        "this process is no step of flowrun ($FLOWRUN_OUTPUT is not set)",
    ),
}


@pytest.mark.parametrize(("script", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_told_in_the_servers_words(
    light: Light, server: Served, script: str, message: str
) -> None:
    done = light.run(f"import flowrun\n{script}", step_variables(server, server.new_run()))
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]


def test_a_script_whose_metrics_are_refused_fails(light: Light, server: Served) -> None:
    run_id = server.new_run()
    done = light.run(
        "import flowrun\n"
        "flowrun.log_metrics({'good': 1, 'bad//name': 2, 'fine': 3})\n"
        "print('done')",
        step_variables(server, run_id),
    )
    assert (done.stdout, done.returncode) == ("done\n", 1)
    assert done.stderr.startswith("flowrun: 1 point of metrics could not be recorded: Invalid")
    assert sorted(server.tracking.get_run(run_id).metrics) == ["fine", "good"]


def test_a_server_that_is_gone_is_told_so(light: Light, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        run_id = server.new_run()
    done = light.run("import flowrun\nflowrun.log_param('a', 1)", step_variables(server, run_id))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "The run is over" in last or last.endswith(
        "If the run it belongs to is over, so is its server."
    )


def test_a_wrong_token_is_told_so(light: Light, server: Served) -> None:
    variables = step_variables(server) | {"MLFLOW_TRACKING_TOKEN": "guess"}
    done = light.run("import flowrun\nflowrun.start_run()", variables)
    assert done.stderr.splitlines()[-1].endswith("The token is not the one of this server.")


def test_user_and_password_may_be_in_the_uri(light: Light, server: Served) -> None:
    uri = server.url.replace("http://", f"http://ada:{TOKEN}@")
    done = light.run(
        "import flowrun\n"
        f"flowrun.set_tracking_uri('{uri}')\n"
        "flowrun.start_run()\n"
        "print(flowrun.get_tracking_uri())"
    )
    assert (done.stdout, done.stderr) == (f"{server.url}\n", "")


def test_without_a_server_there_is_a_way_out(light: Light) -> None:
    done = light.run("import flowrun\nflowrun.log_param('a', 1)")
    assert done.stderr.splitlines()[-1] == (
        "flowrun.tracking.light_http.TrackingError: no tracking server is known: set "
        "MLFLOW_TRACKING_URI or call set_tracking_uri(). (flowrun itself, with its default store, "
        "is not installed in this environment.)"
    )


def test_a_store_that_is_no_server_is_refused(light: Light) -> None:
    done = light.run(
        "import flowrun\nflowrun.log_param('a', 1)", {"MLFLOW_TRACKING_URI": "sqlite:///x.db"}
    )
    assert done.stderr.splitlines()[-1] == (
        "flowrun.tracking.light_http.TrackingError: tracking URI 'sqlite:///x.db': flowrun's light "
        "client speaks to http:// and https:// servers only. Start `flowrun server` on that store, "
        "or log with `import mlflow`."
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_metrics_of_worker_processes_are_recorded(
    light: Light, server: Served, method: str
) -> None:
    run_id = server.new_run()
    script = light.folder / "train.py"
    script.write_text(
        "import multiprocessing, flowrun\n"
        "def work(n):\n"
        "    for step in range(20): flowrun.log_metric(f'w{n}', step, step=step)\n"
        "if __name__ == '__main__':\n"
        "    flowrun.log_metric('main', 1)\n"
        f"    context = multiprocessing.get_context('{method}')\n"
        "    workers = [context.Process(target=work, args=(n,)) for n in range(3)]\n"
        "    for worker in workers: worker.start()\n"
        "    flowrun.log_metric('main', 2, step=1)\n"
        "    for worker in workers: worker.join()\n"
    )
    done = light.run(
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-S', 'train.py']))",
        step_variables(server, run_id),
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("w0", "w1", "w2"):
        assert len(server.tracking.get_metric_history(run_id, name).items) == 20
    assert len(server.tracking.get_metric_history(run_id, "main").items) == 2


def test_a_process_forked_while_an_answer_is_read_goes_on(light: Light) -> None:
    info = {"run_id": RUN_ID, "experiment_id": "0", "artifact_uri": "x"}
    held = threading.Event()
    script = (
        "import os, sys, flowrun\n"
        "flowrun.log_metric('main', 1)\n"
        "def is_read(frame): return frame and (\n"
        "    frame.f_code.co_name == '_safe_read' or is_read(frame.f_back))\n"
        "while not any(map(is_read, sys._current_frames().values())): pass\n"
        "child = os.fork()\n"
        "flowrun.log_metric('both', 1)\n"
        "if child: print(os.waitpid(child, 0)[1], flush=True)\n"
        "os._exit(0)"
    )
    replies = [
        Reply(body=json.dumps({"run": {"info": info, "data": {}}})),
        Reply(body=json.dumps({"run_info": info})),
        Reply(body_after=held),
        Reply(),
    ]
    with odd_server(replies) as server:
        try:
            variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_RUN_ID": RUN_ID}
            done = light.run(script, variables)
        finally:
            held.set()
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert server.asked[2:] == 2 * ["POST /api/2.0/mlflow/runs/log-batch"]


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_what_was_logged_before_a_kill_is_recorded_in_order(
    light: Light, server: Served, number: str
) -> None:
    run_id = server.new_run()
    done = light.run(
        "import os, signal\n"
        f"signal.signal(signal.{number}, signal.SIG_DFL)\n"  # under nohup one of them is ignored
        "import flowrun\n"
        "for step in range(5000): flowrun.log_metric('loss', step, step=step)\n"
        f"os.kill(os.getpid(), signal.{number})\n"
        "flowrun.log_metric('after', 1)",
        step_variables(server, run_id),
    )
    assert (done.returncode, done.stderr) == (-getattr(signal, number), "")
    history = server.tracking.get_metric_history(run_id, "loss").items
    assert [point.step for point in history] == list(range(5000))
    assert "after" not in server.tracking.get_run(run_id).metrics


def test_a_programs_own_way_to_end_is_left_alone(light: Light, server: Served) -> None:
    run_id = server.new_run()
    done = light.run(
        "import flowrun, os, signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('mine'))\n"
        "flowrun.log_metric('loss', 1)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n",
        step_variables(server, run_id),
    )
    assert (done.returncode, done.stdout) == (0, "mine\n")


def test_outputs_are_lines_that_hold_any_value(light: Light) -> None:
    path = light.folder / "output"
    done = light.run(
        "import flowrun\n"
        "flowrun.set_output('text', 'plain = text')\n"
        "flowrun.set_output('lines', 'a\\nb')\n"
        "flowrun.set_output('quoted', '\"q\"')\n"
        "flowrun.set_output('number', 0.5)\n"
        "flowrun.set_output('list', [1, 'ä'])\n"
        "flowrun.set_output('flag', True)\n",
        {"FLOWRUN_OUTPUT": str(path)},
    )
    assert done.stderr == ""
    assert path.read_text().splitlines() == [
        "text=plain = text",
        'lines="a\\nb"',
        'quoted="\\"q\\""',
        "number=0.5",
        'list=[1, "\\u00e4"]',
        "flag=true",
    ]


def test_an_outputs_name_has_no_equals_sign(light: Light) -> None:
    done = light.run("import flowrun\nflowrun.set_output('a=b', 1)", {"FLOWRUN_OUTPUT": "output"})
    assert done.stderr.splitlines()[-1].endswith("set_output: an output's name can't be 'a=b'")
