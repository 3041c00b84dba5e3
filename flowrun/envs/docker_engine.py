"""The one way to a container engine: Docker's, or another that speaks its protocol (Podman)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from flowrun.errors import EnvError
from flowrun.valueclass import valueclass

DEFAULT_HOST = "unix:///var/run/docker.sock"
UNIX = "unix://"
CONNECT_TIMEOUT_S = 10
REQUEST_TIMEOUT_S = 120
"""To make, start or remove one container takes this long only on a machine in trouble."""
UNREACHABLE = (DockerException, RequestException, HTTPError, OSError)
"""All that the SDK raises: the engine's own refusals, and whatever stands between."""

_HINT = "Start it, or say with DOCKER_HOST where it is (Podman's socket will do)."


@valueclass
class Engine:
    """A connection to an engine that has answered; used from any thread."""

    api: APIClient
    host: str
    """As in DOCKER_HOST."""

    @property
    def socket(self) -> Path | None:
        """Its unix socket; None if it is reached over a network."""
        return Path(self.host.removeprefix(UNIX)) if self.host.startswith(UNIX) else None

    @property
    def is_far(self) -> bool:
        """Whether it may be on another machine, which has none of this one's files."""
        return self.socket is None

    @property
    def is_rootless(self) -> bool:
        """Whether the root of its containers is the user who runs it, whose socket it is then."""
        return self.socket is not None and self.socket.stat().st_uid != 0

    def gateway(self, network: str) -> str | None:
        """Give this machine's address in one of the engine's networks, if it has one there."""
        try:
            found = self.api.inspect_network(network)
        except UNREACHABLE:
            return None  # what is wrong with the network is told when a container is to join it
        for config in (found.get("IPAM") or {}).get("Config") or []:
            if gateway := config.get("Gateway"):
                return str(gateway)
            if subnet := config.get("Subnet"):
                # Of its own bridge Docker may not tell; it takes the first address.
                return str(ip_network(subnet)[1])
        return None


def connect(variables: Mapping[str, str]) -> Engine:
    """Connect to the engine that the caller's variables name, and hear that it answers.

    Args:
        variables: DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, as Docker's own client.

    Raises:
        EnvError: there is none, or it lets nobody in.
    """
    host = variables.get("DOCKER_HOST") or DEFAULT_HOST
    # The SDK tells every request to the log; a program that logs DEBUG need not hear of them.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    try:
        if host.startswith(UNIX):
            _knock(host.removeprefix(UNIX))
        settings = kwargs_from_env(environment=dict(variables))
        client = partial(APIClient, **({"base_url": host} | settings))
        return Engine(client(version=_version(client), timeout=REQUEST_TIMEOUT_S), host)
    except UNREACHABLE as error:
        raise EnvError(
            f"No Docker engine answers at {host}: {reason(error).rstrip('.')}.", _HINT
        ) from error


def _version(client: Callable[..., APIClient]) -> str:
    """Ask the engine for the newest protocol it speaks.

    By a ping: to tell its version, as the SDK would ask it to, the engine starts other programs.
    """
    caller = client(version=DEFAULT_DOCKER_API_VERSION, timeout=CONNECT_TIMEOUT_S)
    with closing(caller):
        answer = caller.get(f"{caller.base_url}/_ping")
        answer.raise_for_status()
        if version := answer.headers.get("Api-Version"):
            return version
        raise DockerException("what answers is no container engine")


def _knock(path: str) -> None:
    """Raise OSError if nobody listens: the SDK would leave its own socket open."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(CONNECT_TIMEOUT_S)
        door.connect(path)


def reason(error: BaseException) -> str:
    """Say in one line what an error of the SDK's is about: the engine's words, or the system's."""
    for each in _chain(error):
        if isinstance(each, APIError) and each.explanation:
            return str(each.explanation).strip()
        if isinstance(each, OSError) and each.errno and each.strerror:
            return each.strerror
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies below it: requests and urllib3 wrap it four times."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = next((each for each in current.args if isinstance(each, OSError)), None)
        current = inner or current.__cause__ or current.__context__
