"""`flowrun models predict`: starts the process that predicts, and hears how far it is."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace

from flowrun.errors import ExecutorError
from flowrun.models.scoring.files import Task
from flowrun.serving.worker import Launch, refusal

_MODULE = "flowrun.models.scoring.files"


def predict_file(launch: Launch, task: Task, on_done: Callable[[int], None]) -> None:
    """Carry out a task in a model's own environment; standard input and output are passed on.

    Args:
        launch: how a process with the model is started.
        task: what is to be done; its paths are absolute.
        on_done: told how many rows are done, again and again.

    Raises:
        FlowrunError: the model can't be loaded, or data does not fit; as the process says.
        ExecutorError: the process can't be started, or was killed.
    """
    reading, writing = os.pipe()
    argv = [str(launch.python), "-m", _MODULE, replace(task, told=writing).to_json()]
    with os.fdopen(reading, encoding="utf-8") as lines:
        try:
            process = subprocess.Popen(
                argv,
                cwd=launch.directory,
                env=dict(launch.variables),
                pass_fds=(writing,),
            )
        except OSError as error:
            raise ExecutorError(f"{launch.python} can't be started: {error}") from error
        finally:
            os.close(writing)
        with process:
            try:
                for line in lines:
                    said = json.loads(line)
                    if "failed" in said:
                        raise refusal(said)
                    on_done(int(said["done"]))
            except BaseException:
                process.terminate()
                raise
    if process.returncode != 0:
        how = f"signal {-process.returncode}" if process.returncode < 0 else "its exit code"
        raise ExecutorError(
            f"the process that predicts was ended by {how} ({process.returncode}); what it said is "
            "above"
        )
