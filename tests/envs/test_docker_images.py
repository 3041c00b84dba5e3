"""Images are pulled when they are not there, and named so that nothing can move below them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flowrun.envs.base import EnvRequest, ImageEnv, never
from flowrun.envs.docker_images import Images
from flowrun.errors import CancelledError, EnvError
from flowrun.spec.project import DockerSpec, EnvKind, EnvSpec, Mark
from tests.support.docker import TestEngine
from tests.support.image_registry import ImageRegistry, image_registry
from tests.support.small_image import add_small_image

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@dataclass
class Shop:
    """An engine, a registry, and a project that wants an image."""

    docker: TestEngine
    registry: ImageRegistry
    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.registry.place}/team/small:1"

    def push(self) -> str:
        """Have a new image of that name in the registry only; give its digest."""
        add_small_image(self.docker.engine, self.name)
        digest = self.registry.push(self.docker.engine, self.name)
        self.remove(self.name)
        return digest

    def remove(self, name: str) -> None:
        self.docker.engine.api.remove_image(name, force=True)

    def ensure(self, name: str | None = None, lock: str | None = None) -> ImageEnv:
        spec = EnvSpec(
            EnvKind.DOCKER, Mark("MLproject", 2, 1), docker=DockerSpec(name or self.name)
        )
        images = Images(self.docker.engine, {}, self.folder)
        request = EnvRequest(spec, self.folder, lock=lock)
        return images.ensure(request, self.said.append, never)


@pytest.fixture
def shop(docker: TestEngine, tmp_path: Path) -> Iterator[Shop]:
    with image_registry(tmp_path) as registry:
        shop = Shop(docker, registry, tmp_path)
        yield shop
        for image in docker.engine.api.images(f"{registry.place}/team/small"):
            docker.engine.api.remove_image(image["Id"], force=True)


def test_a_missing_image_is_pulled_once_and_locked_by_its_registrys_digest(shop: Shop) -> None:
    digest = shop.push()
    env = shop.ensure()
    assert shop.said == [f"pulling image {shop.name}", f"pulling image {shop.name}: 1 of 1 layers"]
    assert f"digest: {shop.registry.place}/team/small@{digest}\n" in env.lock
    shop.said.clear()
    assert shop.ensure() == env
    assert shop.said == []


def test_an_image_can_be_named_by_its_digest(shop: Shop) -> None:
    digest = shop.push()
    by_tag = shop.ensure()
    shop.remove(shop.name)
    exact = shop.ensure(f"{shop.registry.place}/team/small@{digest}")
    assert exact.image_id == by_tag.image_id


def test_a_lock_gives_the_image_that_its_tag_no_longer_means(shop: Shop) -> None:
    shop.push()
    first = shop.ensure()
    shop.remove(first.image_id)
    shop.push()
    moved = shop.ensure()
    assert moved.image_id != first.image_id
    given = shop.ensure(lock=first.lock)
    assert (given.image_id, given.key) == (first.image_id, first.key)


def test_what_a_registry_does_not_have_is_told_in_its_words(shop: Shop) -> None:
    with pytest.raises(EnvError) as raised:
        shop.ensure(f"{shop.registry.place}/team/other:2")
    assert raised.value.message == (
        f"MLproject:2:1: image '{shop.registry.place}/team/other:2' is not on this machine and "
        f"can't be pulled: manifest for {shop.registry.place}/team/other:2 not found: manifest "
        "unknown: manifest unknown."
    )


def test_a_pull_that_nobody_wants_any_more_is_given_up(shop: Shop) -> None:
    shop.push()
    spec = EnvSpec(EnvKind.DOCKER, docker=DockerSpec(shop.name))
    images = Images(shop.docker.engine, {}, shop.folder)
    with pytest.raises(CancelledError):
        images.ensure(EnvRequest(spec, shop.folder), shop.said.append, lambda: True)
