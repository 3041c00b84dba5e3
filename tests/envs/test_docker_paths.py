"""Paths of this machine in a `docker_env` are completed without a shell, or refused."""

from __future__ import annotations

import pytest

from flowrun.envs.docker_paths import sources_of, volumes_of
from flowrun.errors import EnvError
from flowrun.spec.project import DockerSpec, MountSpec, MountType

VARIABLES = {"HOME": "/home/ada", "DATA": "/srv/da ta", "REL": "data", "TRICK": "/a:$(id)"}
VOLUMES = {
    "a path": ("/data:/data:ro", "/data:/data:ro"),
    "below the home folder": ("~/data:/data", "/home/ada/data:/data"),
    "the home folder": ("~:/data", "/home/ada:/data"),
    "a variable": ("$DATA/x:/data", "/srv/da ta/x:/data"),
    "a variable in braces": ("${DATA}x:/data", "/srv/da tax:/data"),
    "a volume of the engine's": ("cache:/cache", "cache:/cache"),
    "a volume without a name": ("/cache", "/cache"),
    "words for a shell": ("/a;touch b:/data", "/a;touch b:/data"),
}
REFUSED = {
    "relative": ("./data:/data", "'./data' is no absolute path of this machine."),
    "relative, with no dot": ("da/ta:/data", "'da/ta' is no absolute path of this machine."),
    "relative by a variable": ("$REL/x:/data", "'$REL/x' is no absolute path of this machine."),
    "another's home": ("~bob/x:/data", "'~bob/x' is no absolute path of this machine."),
    "a command": ("/$(id):/data", "'/$(id)' is no absolute path of this machine."),
    "a default of a shell's": (
        "/${NAME:-x}:/data",
        "'/${NAME' is no absolute path of this machine.",
    ),
    "a variable that is not set": (
        "$NOWHERE/x:/data",
        "'$NOWHERE/x' needs the environment variable NOWHERE, which is not set.",
    ),
}


@pytest.mark.parametrize(("volume", "complete"), VOLUMES.values(), ids=VOLUMES.keys())
def test_a_volume_is_completed(volume: str, complete: str) -> None:
    assert list(volumes_of(DockerSpec("a", volumes=(volume,)), VARIABLES)) == [complete]


@pytest.mark.parametrize(("volume", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_volume_that_can_not_be_completed_is_refused(volume: str, message: str) -> None:
    with pytest.raises(EnvError) as raised:
        list(volumes_of(DockerSpec("a", volumes=(volume,)), VARIABLES))
    assert raised.value.message == f"docker_env: {message}"


def test_the_value_of_a_variable_is_not_looked_into() -> None:
    docker = DockerSpec("a", mounts=(MountSpec(MountType.BIND, "/data", "$TRICK"),))
    assert list(sources_of(docker, VARIABLES)) == ["/a:$(id)"]


def test_only_the_source_of_a_bind_mount_is_a_path() -> None:
    mounts = (
        MountSpec(MountType.BIND, "/data", "~/data"),
        MountSpec(MountType.VOLUME, "/cache", "cache"),
        MountSpec(MountType.TMPFS, "/fast"),
    )
    assert list(sources_of(DockerSpec("a", mounts=mounts), VARIABLES)) == [
        "/home/ada/data",
        "cache",
        None,
    ]
