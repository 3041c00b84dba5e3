"""The unit and the Compose file of `templates/server`: what they call is really there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commanded import running_server
from tests.support.space import Space

TEMPLATES = Path(__file__).parents[2] / "templates" / "server"


def unit_settings() -> dict[str, list[str]]:
    """Read the unit: each setting with all its values."""
    settings: dict[str, list[str]] = {}
    for line in (TEMPLATES / "flowrun-server.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings


def unit_command() -> list[str]:
    (command,) = unit_settings()["ExecStart"]
    return shlex.split(command)


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((TEMPLATES / "compose.yaml").read_text())
    return read


def compose_command() -> list[str]:
    words: list[str] = compose()["services"]["server"]["command"]
    return words


COMMANDS = {"systemd unit": unit_command, "compose file": compose_command}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_template_starts_a_server_with_flags_it_has(
    space: Space,
    command: Any,  # noqa: ANN401 - a function
) -> None:
    program, name, *flags = command()
    assert (Path(program).name, name) == ("flowrun", "server")
    text = " ".join(flags)
    # Only what this machine or test can't have is changed.
    text = re.sub(r"--port[= ]\d+", "", text).replace("/data/artifacts", "artifacts")
    text = text.replace("${FLOWRUN_HOSTS:-localhost}", "localhost")
    with running_server(space, *re.split(r"[ =]", re.sub(" +", " ", text.strip()))) as server:
        assert server.call("GET", "/health", None, {"Host": "localhost"}).status == 200


def test_the_variables_that_templates_set_are_the_servers(space: Space) -> None:
    known = space.flowrun("server", "--help", COLUMNS="200").out
    unit = (TEMPLATES / "flowrun-server.service").read_text()
    named = set(re.findall(r"MLFLOW_\w+", unit))
    named |= {n for n in compose()["services"]["server"]["environment"] if "MLFLOW" in n}
    assert len(named) >= 3
    assert [name for name in named if name not in known] == []


def test_the_compose_file_waits_for_the_database_and_keeps_its_data() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    assert services["server"]["depends_on"]["database"]["condition"] == "service_healthy"
    for service in services.values():
        assert {mount.partition(":")[0] for mount in service["volumes"]} <= volumes.keys()
        assert service["healthcheck"]["test"][0] == "CMD"
    dockerfile = TEMPLATES.parents[1] / services["server"]["build"]["dockerfile"]
    assert dockerfile.exists()


def test_the_unit_gives_requests_in_flight_the_time_the_server_does() -> None:
    settings = unit_settings()
    assert int(settings["TimeoutStopSec"][0]) > 12
    assert settings["Type"] == ["exec"]
