"""Images in a lock file: what runs is what was locked, wherever its tag has moved since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.docker import TestEngine
from tests.support.image_registry import ImageRegistry, image_registry
from tests.support.small_image import add_small_image
from tests.support.space import Space

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@dataclass
class Images:
    """A registry, and an engine that forgets what is pushed."""

    docker: TestEngine
    registry: ImageRegistry

    @property
    def name(self) -> str:
        return f"{self.registry.place}/team/small:1"

    def push(self) -> str:
        """Have a new image of the name in the registry only; give its digest."""
        add_small_image(self.docker.engine, self.name)
        digest = self.registry.push(self.docker.engine, self.name)
        self.docker.engine.api.remove_image(self.name, force=True)
        return f"{self.registry.place}/team/small@{digest}"


@pytest.fixture
def images(docker: TestEngine, tmp_path: Path) -> Iterator[Images]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with image_registry(folder) as registry:
        yield Images(docker, registry)
        for image in docker.engine.api.images(f"{registry.place}/team/small"):
            docker.engine.api.remove_image(image["Id"], force=True)


@pytest.fixture
def project(space: Space, images: Images) -> Space:
    text = f"docker_env: {{image: '{images.name}'}}\nentry_points:\n  main: {{command: 'true'}}\n"
    space.write({"p/MLproject": text})
    return space


def test_image_is_locked_by_its_registrys_digest_without_pulling_it(
    project: Space, images: Images
) -> None:
    digest = images.push()
    project.flowrun("lock", "p", "--platform", "linux-64")
    assert f"      platform: linux/amd64\n      digest: {digest}\n" in project.read(
        "p/MLproject.lock"
    )
    assert images.docker.engine.api.images(f"{images.registry.place}/team/small") == []
    assert "up to date" in project.flowrun("lock", "p").out


def test_run_takes_the_locked_image_after_its_tag_moved(project: Space, images: Images) -> None:
    first = images.push()
    project.flowrun("lock", "p")
    second = images.push()
    project.flowrun("run", "p", "--locked")
    [run] = project.runs()
    image_id = run["tags"]["mlflow.docker.image.id"]
    assert images.docker.engine.api.inspect_image(first)["Id"] == image_id  # type: ignore[no-untyped-call]  # the stubs say nothing of it
    project.flowrun("lock", "p", "--check")
    done = project.flowrun("lock", "p", "--upgrade", images.name)
    assert re.search(r"digest \S+ -> " + second.partition("@")[2], done.out)


def test_image_that_no_registry_has_any_more_is_told(project: Space, images: Images) -> None:
    images.push()
    project.flowrun("lock", "p")
    text = project.read("p/MLproject.lock")
    project.write({"p/MLproject.lock": re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text)})
    done = project.flowrun("run", "p", "--locked", code=3)
    assert f"small@sha256:{'0' * 64}' is not on this machine and can't be pulled" in done.text


def test_digest_of_another_repository_is_refused(project: Space, images: Images) -> None:
    digest = images.push()
    project.flowrun("lock", "p")
    text = project.read("p/MLproject.lock")
    evil = digest.replace("team/small", "team/evil")
    project.write({"p/MLproject.lock": text.replace(digest, evil)})
    done = project.flowrun("run", "p", "--locked", code=3)
    assert "names no digest of it" in done.text


def test_another_image_than_was_locked_is_told_with_its_line(
    project: Space, images: Images
) -> None:
    images.push()
    project.flowrun("lock", "p")
    text = project.read("p/MLproject")
    project.write({"p/MLproject": text.replace("team/small:1", "team/small:2")})
    done = project.flowrun("run", "p", "--locked", code=2)
    assert f"environment {images.name[:-1]}2 (docker) is not in it" in done.err


def test_image_of_a_build_is_not_locked_and_that_is_told(space: Space) -> None:
    space.write(
        {
            "p/MLproject": "docker_env: {build: .}\nentry_points:\n  main: {command: 'true'}\n",
            "p/Dockerfile": "FROM scratch\n",
        }
    )
    done = space.flowrun("lock", "p")
    assert "note: the image of main is built from the project: it can't be locked" in done.err
