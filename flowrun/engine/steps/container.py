"""What a step's container is given: files at their own places, limits, a user, a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flowrun.engine.services import Services
from flowrun.engine.steps.inputs import Inputs
from flowrun.engine.steps.light_client import python_path
from flowrun.envs.base import ImageEnv
from flowrun.envs.docker_paths import sources_of, volumes_of
from flowrun.errors import EnvError
from flowrun.executors.base import Bind, Container
from flowrun.plan.plan import PlannedStep
from flowrun.spec.project import DockerSpec, Resources
from flowrun.valueclass import valueclass

HOST_NETWORK = "host"
"""The default: the store that steps log to listens on this machine's loopback."""
SESSION_LABEL = "flowrun.session"
STEP_LABEL = "flowrun.step"
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr", "var")
SYSTEM_FOLDERS = frozenset(["/", *(f"/{name}" for name in _SYSTEM)])
"""To see one of these at its own place would hide the image's own."""
_ROOT = frozenset({"0", "root", "0:0", "root:root"})


@valueclass
class ContainerMaker:
    """Makes the containers of one run."""

    services: Services
    session_id: str
    arguments: Mapping[str, str]
    """What the caller says of all of them, in the words of `docker run`."""

    def make(
        self,
        step: PlannedStep,
        env: ImageEnv,
        inputs: Inputs,
        work: Path,
        gpus: Sequence[str],
    ) -> tuple[Container, str | None]:
        """Give the container of a step, and the address of this machine in it.

        Args:
            step: whose command runs in it.
            env: the image.
            inputs: what was placed for the step, and its directory.
            work: the step's folder, which is there.
            gpus: those that it gets of this machine's, unless its `docker_env` says something.

        Raises:
            EnvError: a path can't be had at its own place.
        """
        docker = env.docker
        arguments = {**arguments_of(docker, step.resources), **self.arguments}
        if gpus:
            arguments.setdefault("gpus", f"device={','.join(gpus)}")
        caller = f"{os.getuid()}:{os.getgid()}"
        if self.services.envs.engine().is_rootless:
            caller = "0:0"  # which is the caller, on the outside
        user = arguments.setdefault("user", caller)
        if user != caller and user not in _ROOT:
            _open_to_others(work)
        variables = self.services.variables
        mounts = zip(docker.mounts, sources_of(docker, variables), strict=True)
        container = Container(
            image=env.image_id,
            binds=self._binds(inputs, work),
            volumes=tuple(volumes_of(docker, variables)),
            mounts=tuple(replace(mount, source=source) for mount, source in mounts),
            arguments=arguments,
            labels={SESSION_LABEL: self.session_id, STEP_LABEL: step.id},
            given_back=() if user == caller else (work,),
            taken_back=(inputs.project, work / "output"),
        )
        return container, self._address(arguments["network"])

    def home(self, step_user: str | None, work: Path) -> Mapping[str, str]:
        """Give HOME where the image knows nothing of the user: a folder of the step's own."""
        if step_user is not None or "user" in self.arguments:
            return {}
        home = work / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home)}

    def _binds(self, inputs: Inputs, work: Path) -> tuple[Bind, ...]:
        binds = {work: Bind(work, is_read_only=False)}
        if not inputs.project.is_relative_to(work):
            binds[inputs.project] = Bind(inputs.project, is_read_only=False)
        for name, (_, path, _) in inputs.placed.items():
            if str(path) in SYSTEM_FOLDERS:
                raise EnvError(
                    f"parameter '{name}' is {path}, which would hide the container's own {path}; "
                    "give a directory below it"
                )
            if not any(path.is_relative_to(seen) for seen in binds):
                is_own = path.is_relative_to(inputs.folder)
                binds[path] = Bind(path, is_read_only=not is_own)
        client = python_path(self.services.home.client)
        return (*binds.values(), Bind(client))

    def _address(self, network: str) -> str | None:
        if network in {HOST_NETWORK, "none"} or network.startswith("container:"):
            return None
        name = "bridge" if network == "default" else network
        return self.services.envs.engine().gateway(name)


def arguments_of(docker: DockerSpec, resources: Resources) -> dict[str, str]:
    """Give what a project says of a container in the words of `docker run`."""
    given = {
        "network": docker.network or HOST_NETWORK,
        "user": docker.user,
        "gpus": docker.gpus,
        "platform": docker.platform,
        "shm-size": str(docker.shm_size_bytes) if docker.shm_size_bytes else None,
        "cpus": str(resources.cpu_limit) if resources.cpu_limit else None,
        "memory": str(resources.memory_bytes) if resources.memory_bytes else None,
        # no swap beside it: what is over the limit is over
        "memory-swap": str(resources.memory_bytes) if resources.memory_bytes else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _open_to_others(work: Path) -> None:
    """Let another user write below the step's folder; its parent is the caller's alone."""
    for folder, _, files in os.walk(work):
        Path(folder).chmod(0o777)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o666)
