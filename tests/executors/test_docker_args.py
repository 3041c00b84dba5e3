"""The words of `docker run` become fields of one request, or a refusal that says what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.errors import UsageError
from flowrun.executors.docker_args import Wanted, apply_arguments, check_arguments

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "environments.md"
HOST = {
    "a size": ({"memory": "512m"}, {"Memory": 512 << 20}),
    "a short name": ({"m": "2g"}, {"Memory": 2 << 30}),
    "a name with its dashes": ({"--shm-size": "64"}, {"ShmSize": 64}),
    "processors": ({"cpus": "1.5"}, {"NanoCpus": 1_500_000_000}),
    "a flag": ({"privileged": "true"}, {"Privileged": True}),
    "a list": ({"cap-add": "NET_ADMIN,SYS_PTRACE"}, {"CapAdd": ["NET_ADMIN", "SYS_PTRACE"]}),
    "all gpus": ({"gpus": "all"}, {"DeviceRequests": [{"Capabilities": [["gpu"]], "Count": -1}]}),
    "two gpus": ({"gpus": "2"}, {"DeviceRequests": [{"Capabilities": [["gpu"]], "Count": 2}]}),
    "those gpus": (
        {"gpus": "device=0,1"},
        {"DeviceRequests": [{"Capabilities": [["gpu"]], "DeviceIDs": ["0", "1"]}]},
    ),
    "a device": (
        {"device": "/dev/fuse:/dev/f"},
        {
            "Devices": [
                {
                    "PathOnHost": "/dev/fuse",
                    "PathInContainer": "/dev/f",
                    "CgroupPermissions": "rwm",
                }
            ]
        },
    ),
    "limits": (
        {"ulimit": "nofile=1024:2048,core=0"},
        {
            "Ulimits": [
                {"Name": "nofile", "Soft": 1024, "Hard": 2048},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ]
        },
    ),
    "memory in place of a disk": ({"tmpfs": "/fast:size=1m"}, {"Tmpfs": {"/fast": "size=1m"}}),
    "what holds anyway": ({"rm": "true", "init": "true"}, {}),
}
REFUSED = {
    "another name": ({"link": "db"}, "--docker-args link: flowrun has no such argument"),
    "an option in a name": ({"rm --privileged": "true"}, "flowrun has no such argument"),
    "no size": ({"memory": "lots"}, "--docker-args memory=lots: must be a size such as 512m or 2g"),
    "no number": ({"cpus": "0"}, "--docker-args cpus=0: must be a number of cpus, more than 0"),
    "no flag": ({"privileged": "maybe"}, "--docker-args privileged=maybe: must be true or false"),
    "no gpus": ({"gpus": "some"}, "must be all, a count, or device=..."),
    "no limit": ({"ulimit": "nofile"}, "--docker-args ulimit=nofile: must be a whole number"),
}


@pytest.mark.parametrize(("given", "host"), HOST.values(), ids=HOST.keys())
def test_an_argument_becomes_what_the_engine_calls_it(
    given: dict[str, str], host: dict[str, object]
) -> None:
    wanted = Wanted()
    apply_arguments(given, wanted)
    assert wanted == Wanted(host=host)


def test_volumes_of_the_caller_are_added_to_those_of_the_project() -> None:
    wanted = Wanted(host={"Binds": ["/a:/a"]})
    apply_arguments({"v": "/b:/b:ro"}, wanted)
    assert wanted.host["Binds"] == ["/a:/a", "/b:/b:ro"]


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_an_argument_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_arguments(given)
    assert message in raised.value.message


def test_a_refused_name_is_told_with_all_there_are_and_they_are_in_the_reference() -> None:
    with pytest.raises(UsageError) as raised:
        check_arguments({"link": "db"})
    assert raised.value.hint is not None
    names = raised.value.hint.removeprefix("There are: ").rstrip(".").split(", ")
    assert {"gpus", "memory", "volume"} < set(names)
    text = REFERENCE.read_text()
    assert [name for name in names if f"`{name}`" not in text] == []
