"""What an engine is asked for to run a job, and what its answer says of the job's end.

Source: Docker Engine API v1.41, "Create a container" and "Inspect a container".
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from flowrun.executors.base import Container, Job, JobEnded, Usage
from flowrun.executors.docker_args import Wanted, apply_arguments
from flowrun.executors.supervisor import JOB_VARIABLE
from flowrun.spec.project import MountSpec, MountType

JOB_LABEL = "flowrun.job"
_SIGNAL_BASE = 128


def request_for(
    job: Job, container: Container, *, is_far: bool
) -> tuple[Mapping[str, object], str | None]:
    """Give the request for the container of a job, and its platform, which is asked for apart.

    Args:
        job: what is to run.
        container: what it is to run in.
        is_far: the engine sees no path of this machine.
    """
    binds = () if is_far else container.binds
    variables = {**job.variables, JOB_VARIABLE: job.id, "TINI_KILL_PROCESS_GROUP": "1"}
    wanted = Wanted(
        config={
            "Image": container.image,
            "Cmd": list(job.argv),
            "WorkingDir": str(job.directory),
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Labels": {**container.labels, JOB_LABEL: job.id},
            "AttachStdout": True,
            "AttachStderr": True,
            "Volumes": {volume: {} for volume in container.volumes if ":" not in volume},
        },
        host={
            "Init": True,
            "Binds": [volume for volume in container.volumes if ":" in volume],
            "Mounts": [
                *(_bind(bind.path, is_read_only=bind.is_read_only) for bind in binds),
                *map(_mount, container.mounts),
            ],
        },
    )
    apply_arguments(container.arguments, wanted)
    platform = wanted.config.pop("Platform", None)
    config = {**wanted.config, "HostConfig": wanted.host}
    return config, None if platform is None else str(platform)


def request_to_give_back(container: Container, owner: str) -> Mapping[str, object]:
    """Give the request for one more container, whose root makes files somebody else's.

    Args:
        container: whose `given_back` they are.
        owner: `uid:gid`.
    """
    writable = [bind.path for bind in container.binds if not bind.is_read_only]
    return {
        "Image": container.image,
        "Entrypoint": ["chown"],
        "Cmd": ["-R", "-h", owner, "--", *map(str, container.given_back)],
        "User": "0:0",
        "Labels": dict(container.labels),
        "HostConfig": {
            "NetworkMode": "none",
            "Mounts": [_bind(path, is_read_only=False) for path in writable],
        },
    }


def ended_of(
    job_id: str, state: Mapping[str, object], usage: Usage | None, start_ms: int
) -> JobEnded:
    """Say how a job ended by the state of its container, which is dead."""
    code = int(str(state["ExitCode"]))
    if problem := str(state.get("Error") or ""):
        return JobEnded(job_id, lost=problem, start_time_ms=start_ms)
    number = code - _SIGNAL_BASE
    is_signal = number in {each.value for each in signal.Signals}
    return JobEnded(
        job_id,
        exit_code=None if is_signal else code,
        signal=number if is_signal else None,
        start_time_ms=start_ms,
        usage=usage,
        ran_out_of_memory=bool(state.get("OOMKilled")) and code != 0,
    )


def _bind(path: Path, *, is_read_only: bool) -> dict[str, object]:
    place = str(path)
    return {"Type": "bind", "Source": place, "Target": place, "ReadOnly": is_read_only}


def _mount(mount: MountSpec) -> dict[str, object]:
    found: dict[str, object] = {
        "Type": mount.type.value,
        "Source": mount.source or "",
        "Target": mount.target,
        "ReadOnly": mount.is_read_only,
    }
    if mount.type is MountType.TMPFS and mount.size_bytes:
        found["TmpfsOptions"] = {"SizeBytes": mount.size_bytes}
    return found
