"""What a user is told when conda packages can't be had, and that nothing is left half-made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs.conda.channels import Channels
from flowrun.envs.conda.failures import RattlerError, explained
from flowrun.envs.conda.settings import CondaSettings
from flowrun.errors import EnvError, SpecError
from tests.envs.conda.conftest import conda_yaml
from tests.envs.conftest import EnvSpace
from tests.support.conda_channel import CondaChannel
from tests.support.conda_channels import generic
from tests.support.conda_server import ChannelServer

pytestmark = pytest.mark.conda
LIB = generic("demo-lib", "2.0")


@dataclass(frozen=True)
class Failure:
    files: Mapping[str, str]
    message: str
    """CHANNEL stands for the channel's address, LOG for the log's path."""
    variables: Mapping[str, str] | None = None


FAILURES = {
    "no such package": Failure(
        conda_yaml("demo-lib", "nunpy>=1"),
        "environment of conda.yaml: there is no package 'nunpy>=1' (conda.yaml:4) in tests.\n"
        "Is the name right, and is it a package of these channels? One from the Python package "
        "index belongs into the `pip:` section.",
    ),
    "no such version": Failure(
        conda_yaml("demo-lib 3.*"),
        "environment of conda.yaml: no packages of tests fit together:\n"
        "No candidates were found for demo-lib 3.*.\n"
        "conda.yaml:3: demo-lib 3.* (there is 1.0, 2.0)\n"
        "Ask for other versions, or add a channel that has them.",
    ),
    "conflict": Failure(
        conda_yaml("demo-app=2", "demo-lib<2"),
        "environment of conda.yaml: no packages of tests fit together:\n"
        "demo-app 2.* cannot be installed because there are no viable options:\n"
        "└─ demo-app 2.0 would require\n"
        "   └─ demo-lib >=2,<3, for which no candidates were found.\n"
        "conda.yaml:3: demo-app=2 (there is 1.0, 2.0)\n"
        "conda.yaml:4: demo-lib<2 (there is 1.0, 2.0)\n"
        "Ask for other versions, or add a channel that has them.",
    ),
    "no NVIDIA driver": Failure(
        conda_yaml("demo-gpu"),
        "environment of conda.yaml: no packages of tests fit together:\n"
        "demo-gpu * cannot be installed because there are no viable options:\n"
        "└─ demo-gpu 1.0 would require\n"
        "   └─ __cuda >=12, for which no candidates were found.\n"
        "conda.yaml:3: demo-gpu (there is 1.0)\n"
        "This machine has no NVIDIA driver of that version; CONDA_OVERRIDE_CUDA=12.4 takes it to "
        "have one.",
        {"CONDA_OVERRIDE_CUDA": ""},
    ),
    "no such channel": Failure(
        conda_yaml("demo-lib", channel="nowhere"),
        "environment of conda.yaml: there is no conda channel at CHANNELS/nowhere/\n"
        "Is the name right? What names mean: FLOWRUN_CONDA_CHANNEL_ALIAS, "
        "FLOWRUN_CONDA_DEFAULT_CHANNELS and FLOWRUN_CONDA_MIRRORS. Log: LOG",
    ),
    "override that is no version": Failure(
        conda_yaml("demo-lib"),
        "environment of conda.yaml: CONDA_OVERRIDE_CUDA=1!!",
        {"CONDA_OVERRIDE_CUDA": "1!!"},
    ),
    "no Python for the pip section": Failure(
        conda_yaml("demo-lib", "{pip: [alpha]}"),
        "environment of conda.yaml: the `pip:` section (conda.yaml:4) needs a Python, but no "
        "dependency brings one.\nAdd python to `dependencies`.",
    ),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
def test_failure_says_what_is_wrong_and_what_to_do(
    case: Failure, conda: EnvSpace, shared: CondaChannel
) -> None:
    conda.variables.update(case.variables or {})
    conda.write(case.files)
    conda.check()
    told = error_of(conda).replace(shared.folder.parent.as_uri(), "CHANNELS")
    told = re.sub(r"Log: \S+\.log", "Log: LOG", told)
    assert told.startswith(case.message)
    assert told == case.message or case.message.endswith("=1!!")


@pytest.mark.parametrize("text", ["num*", "numpy>=", "numpy>1,,<"])
def test_dependency_that_rattler_does_not_understand_is_told_with_its_place(
    text: str, conda: EnvSpace
) -> None:
    conda.write(conda_yaml("demo-lib", f"'{text}'"))
    with pytest.raises(SpecError) as error:
        conda.check()
    assert str(error.value).startswith(f"conda.yaml:4:3: '{text}' is no conda package: ")


@pytest.mark.slow
def test_pip_can_not_replace_what_conda_installs(conda: EnvSpace) -> None:
    conda.write(conda_yaml("python", "alpha=1", "{pip: ['alpha>=2']}"))
    assert error_of(conda) == (
        "environment of conda.yaml: 'alpha>=2' (conda.yaml:5) asks pip for another version of "
        "'alpha' than conda installs.\n"
        "Ask for it in one place: as a conda dependency or in the `pip:` section."
    )


def damaged(channel: CondaChannel) -> None:
    archive = channel.path(LIB)
    archive.write_bytes(archive.read_bytes()[:-1] + b"!")


def other(channel: CondaChannel) -> None:
    channel.path(LIB).write_bytes(channel.path(generic("demo-app", "2.0")).read_bytes())


def half(channel: CondaChannel) -> None:
    archive = channel.path(LIB)
    archive.write_bytes(archive.read_bytes()[:100])


CHANGES = {"one byte": damaged, "another package": other, "half of it": half}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_archive_is_refused(
    change: Callable[[CondaChannel], None], own: CondaChannel, space: EnvSpace
) -> None:
    own.add(LIB, generic("demo-app", "2.0"))
    change(own)
    space.write(conda_yaml("demo-lib"))
    told = error_of(space)
    assert f"{own.url}/noarch/demo-lib-2.0-0.conda is not the package that it should be" in told
    assert is_clean(space)


def test_changed_archive_is_refused_over_http(
    server: ChannelServer, own: CondaChannel, space: EnvSpace
) -> None:
    own.add(LIB)
    damaged(own)
    space.write(conda_yaml("demo-lib"))
    told = error_of(space)
    assert f"{server.url()}/tests/noarch/demo-lib-2.0-0.conda is not the package that it" in told
    assert is_clean(space)


def test_archive_changed_after_the_lock_is_refused(own: CondaChannel, space: EnvSpace) -> None:
    own.add(LIB)
    space.write(conda_yaml("demo-lib"))
    first = space.ensure()
    forget(space)
    own.add(generic("demo-lib", "2.0", **{"share/evil": "evil"}))
    again = space.ensure()
    # The old archive is gone, so the index as it is now is locked anew: another environment.
    assert again.key != first.key


def test_changed_archive_is_refused_also_where_the_package_cache_is_damaged(
    own: CondaChannel, space: EnvSpace
) -> None:
    own.add(LIB)
    space.write(conda_yaml("demo-lib"))
    first = space.ensure()
    (space.root / f"envs/{first.key}.json").unlink()
    (kept,) = (space.root / "memos/conda/archives").iterdir()
    kept.write_bytes(b"half")
    damaged(own)
    assert "is not the package that it should be" in error_of(space)


def test_archive_that_is_gone_is_told(own: CondaChannel, space: EnvSpace) -> None:
    own.add(LIB)
    own.path(LIB).unlink()
    space.write(conda_yaml("demo-lib"))
    assert "/noarch/demo-lib-2.0-0.conda: there is no such file" in error_of(space)


def test_package_without_a_hash_is_refused(own: CondaChannel, space: EnvSpace) -> None:
    own.add(LIB)
    own.write_index(without="sha256")
    space.write(conda_yaml("demo-lib"))
    assert "does not tell its sha256, so it can't be locked" in error_of(space)


def test_index_that_is_no_json_is_told(own: CondaChannel, space: EnvSpace) -> None:
    own.add(LIB)
    (own.folder / "noarch/repodata.json").write_text("<html>")
    space.write(conda_yaml("demo-lib"))
    assert error_of(space).startswith("environment of conda.yaml: ")
    assert is_clean(space)


def test_download_that_breaks_off_leaves_nothing(
    server: ChannelServer, own: CondaChannel, space: EnvSpace
) -> None:
    own.add(LIB)
    server.hangs_up = True
    space.write(conda_yaml("demo-lib"))
    assert error_of(space).startswith("env ")
    assert is_clean(space)
    server.hangs_up = False
    assert space.ensure().backend == "conda"


def test_login_of_a_channel_is_used_and_never_shown(
    server: ChannelServer, own: CondaChannel, space: EnvSpace
) -> None:
    own.add(LIB)
    server.login = "me:secret"
    space.variables["FLOWRUN_CONDA_CHANNEL_ALIAS"] = server.url("me:wrong")
    space.write(conda_yaml("demo-lib"))
    told = error_of(space)
    assert "refuses the login" in told
    assert "wrong" not in told
    space.variables["FLOWRUN_CONDA_CHANNEL_ALIAS"] = server.url("me:secret")
    env = space.ensure()
    assert f"{server.url()}/tests/noarch/demo-lib-2.0-0.conda" in env.lock
    kept = [path for path in space.root.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"secret" in path.read_bytes()]


@pytest.mark.slow
def test_no_answer_from_a_channel_is_told(space: EnvSpace, server: ChannelServer) -> None:
    space.variables["FLOWRUN_CONDA_CHANNEL_ALIAS"] = "http://127.0.0.1:9"
    space.write(conda_yaml("demo-lib"))
    assert "no answer from http://127.0.0.1:9/tests/" in error_of(space)
    assert server.asked == []


REASONS = {
    "failed to link\nCaused by: No space left on device (os error 28)": (
        "env 1 (conda.yaml): the disk is full.\n"
        "Free some space; nothing half-made is left behind. Log: x.log"
    ),
    "HTTP status client error (403 Forbidden) for url (https://h/t/tok-en/c/x.conda)": (
        "env 1 (conda.yaml): https://h/t/***/c/x.conda refuses the login.\n"
        "Check the channel's user, password or token in the settings. Log: x.log"
    ),
    "something else": "env 1 (conda.yaml): something else\nLog: x.log",
}


@pytest.mark.parametrize(("said", "told"), REASONS.items(), ids=["full", "login", "other"])
def test_what_rattler_says_is_told_plainly(said: str, told: str) -> None:
    channels = Channels((), CondaSettings())
    error = explained(RattlerError(said), "env 1 (conda.yaml)", (), channels, Path("x.log"))
    assert str(error) == told


def error_of(space: EnvSpace) -> str:
    with pytest.raises(EnvError) as error:
        space.ensure()
    return str(error.value)


def is_clean(space: EnvSpace) -> bool:
    return not list((space.root / "envs").iterdir()) and not list(
        (space.root / "scratch").iterdir()
    )


def forget(space: EnvSpace) -> None:
    """Remove environments and packages; the locks stay."""
    for record in (space.root / "envs").glob("*.json"):
        record.unlink()
    (space.root / "memos/conda/archives").rename(space.folder / "forgotten")
