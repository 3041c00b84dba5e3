"""An image of a model, built and run for real; and manifests that Kubernetes takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from flowrun.serving.image import SERVER_REQUIREMENTS
from tests.serving.models import NAUGHTY, TEXT, save_code
from tests.support.docker import IMAGE, TestEngine
from tests.support.space import Space
from tests.support.waiting import until

SCHEMAS = Path(__file__).with_name("data") / "kubernetes-1.37.json"
"""Of Deployment and Service and all in them, strict; made from the schemas of the package
kubernetes-validate, without their descriptions."""
KINDS = {
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "Service": "io.k8s.api.core.v1.Service",
}
ASK = """
import sys, urllib.request
body = sys.argv[1].encode()
headers = {"Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080/invocations", body, headers)
print(urllib.request.urlopen(request).read().decode())
"""
PING = ["/opt/server/bin/python", "-m", "flowrun.serving.container", "ping"]


@pytest.fixture
def image(space: Space, docker: TestEngine) -> Iterator[str]:
    save_code(space.path / "model", NAUGHTY, TEXT)
    name = f"flowrun-test/model:{os.getpid()}"
    words = ("-m", space.path / "model", "-n", name, "--base-image", IMAGE)
    space.flowrun("models", "build-docker", *words)
    yield name
    docker.engine.api.remove_image(name, force=True)


@pytest.mark.docker
@pytest.mark.slow
def test_image_answers_without_network_root_or_disk(image: str, docker: TestEngine) -> None:
    api: Any = docker.engine.api
    # As SageMaker starts it, with as little as Kubernetes gives it.
    host = api.create_host_config(
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 - inside
        cap_drop=["ALL"],
        init=False,
    )
    container = api.create_container(image, ["serve"], host_config=host)["Id"]

    def run(argv: list[str]) -> tuple[int, str]:
        made = api.exec_create(container, argv)["Id"]
        output = api.exec_start(made).decode()
        return api.exec_inspect(made)["ExitCode"], output

    try:
        api.start(container)
        until(lambda: run(PING)[0] == 0, 120, "the container's answer")
        said = json.dumps({"dataframe_records": [{"what": "well"}]})
        code, answer = run(["/opt/server/bin/python", "-c", ASK, said])
        assert (code, answer.strip()) == (0, '{"predictions": ["well"]}')
        assert run(["id", "-u"])[1].strip() == "1000"
        assert api.inspect_image(image)["Config"]["Healthcheck"]["Test"][1:] == PING
        api.stop(container, timeout=20)
        assert api.inspect_container(container)["State"]["ExitCode"] == 0
    finally:
        api.remove_container(container, force=True)


def test_server_in_an_image_takes_only_what_is_installed_there() -> None:
    """All of flowrun is in the image, but only some of what it requires."""
    show = (
        "import sys, flowrun.serving.container;"
        "tops = {name.partition('.')[0] for name in sys.modules};"
        "print(*sorted(tops - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    named = {re.split("[<>=]", text)[0] for text in SERVER_REQUIREMENTS}
    with_theirs = named | {"click", "h11", "markupsafe", "flowrun"}
    found = {name for name in done.stdout.split() if not name.startswith("_")}
    assert found <= with_theirs


def test_manifests_are_what_kubernetes_takes(space: Space) -> None:
    words = ("--image", "registry.example.com/wine:1", "-n", "wine", "--replicas", "2")
    done = space.flowrun("models", "generate-kubernetes", *words)
    schemas = json.loads(SCHEMAS.read_text())
    found = {document["kind"]: document for document in yaml.safe_load_all(done.out)}
    assert set(found) == set(KINDS)
    for kind, document in found.items():
        schema = {**schemas, "$ref": f"#/definitions/{KINDS[kind]}"}
        jsonschema.Draft7Validator(schema).validate(document)
    pod = found["Deployment"]["spec"]["template"]
    selector = found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert found["Service"]["spec"]["selector"] == selector
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


def test_the_schemas_are_strict(space: Space) -> None:
    done = space.flowrun("models", "generate-kubernetes", "--image", "wine:1", "-n", "wine")
    deployment = next(iter(yaml.safe_load_all(done.out)))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    schema = {**json.loads(SCHEMAS.read_text()), "$ref": f"#/definitions/{KINDS['Deployment']}"}
    with pytest.raises(jsonschema.ValidationError, match="livenesProbe"):
        jsonschema.Draft7Validator(schema).validate(deployment)


WRONG = {
    "name": ("--image", "wine:1", "-n", "Wine Quality"),
    "image": ("--image", "wine: {evil: true}", "-n", "wine"),
    "memory": ("--image", "wine:1", "-n", "wine", "--memory", "lots"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_kubernetes_would_refuse_is_refused(space: Space, name: str) -> None:
    done = space.flowrun("models", "generate-kubernetes", *WRONG[name], code=2)
    assert "is not what Kubernetes takes" in done.err
