"""A machine whose conda channel is a folder, and a project on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.envs.conftest import EnvSpace
from tests.support.conda_channel import CondaChannel
from tests.support.conda_channels import NAME, shared_channel
from tests.support.conda_server import ChannelServer, channel_server


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> CondaChannel:
    """Give the channel of all tests; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    return shared_channel((base if worker_id == "master" else base.parent) / "conda-channel")


@pytest.fixture
def conda(space: EnvSpace, shared: CondaChannel) -> EnvSpace:
    """Give a machine on which channel names are folders beside the shared channel."""
    space.variables["FLOWRUN_CONDA_CHANNEL_ALIAS"] = shared.folder.parent.as_uri()
    return space


@pytest.fixture
def own(space: EnvSpace) -> CondaChannel:
    """Give a channel of that name which the test may change, on the same machine."""
    folder = space.folder / "channels"
    space.variables["FLOWRUN_CONDA_CHANNEL_ALIAS"] = folder.as_uri()
    return CondaChannel(folder / NAME)


@pytest.fixture
def server(own: CondaChannel, space: EnvSpace) -> Iterator[ChannelServer]:
    """Give the test's own channel over HTTP; names mean folders of the server."""
    with channel_server(own.folder.parent) as running:
        space.variables["FLOWRUN_CONDA_CHANNEL_ALIAS"] = running.url()
        yield running


def conda_yaml(*dependencies: str, channel: str = NAME) -> dict[str, str]:
    """Give a project's conda.yaml."""
    lines = [f"channels: [{channel}]", "dependencies:"]
    return {"conda.yaml": "\n".join([*lines, *(f"- {each}" for each in dependencies)]) + "\n"}
