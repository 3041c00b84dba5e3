"""conda environments are locked for other platforms, and keep their versions until told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowrun.envs.base import NO_WISH, Wish
from flowrun.envs.contents import versions_of
from flowrun.errors import EnvError
from tests.envs.conda.conftest import conda_yaml
from tests.envs.conftest import EnvSpace
from tests.support.conda_channel import CondaChannel
from tests.support.conda_channels import generic

pytestmark = pytest.mark.conda


@pytest.fixture
def demo(own: CondaChannel, space: EnvSpace) -> EnvSpace:
    own.add(generic("demo-lib", "1.0"), generic("demo-app", "1.0", "demo-lib"))
    space.write(conda_yaml("demo-app"))
    return space


def resolved(space: EnvSpace, wish: Wish = NO_WISH) -> str:
    """Resolve, and look that nothing is left of it but the lock."""
    request = replace(space.request(), wish=wish)
    lock = space.store().resolve(request, None, space.said.append)
    assert not list(space.root.glob("envs/*"))
    return lock


def test_another_platform_is_locked_for_what_it_usually_has(
    demo: EnvSpace, own: CondaChannel
) -> None:
    own.add(
        generic("demo-mac", "1.0", "__osx >=12"), generic("demo-glibc", "1.0", "__glibc >=2.17")
    )
    demo.write(conda_yaml("demo-app", "demo-mac"))
    lock = resolved(demo, Wish(platform="osx-arm64"))
    assert "osx-arm64" in lock
    assert versions_of(lock).keys() == {"demo-app", "demo-lib", "demo-mac"}
    demo.variables["CONDA_OVERRIDE_ARCHSPEC"] = "zen2"
    demo.write(conda_yaml("demo-app", "demo-glibc"))
    assert "demo-glibc" in versions_of(resolved(demo, Wish(platform="linux-aarch64")))
    demo.variables["CONDA_OVERRIDE_GLIBC"] = "2.12"
    with pytest.raises(EnvError, match="__glibc"):
        resolved(demo, Wish(platform="linux-aarch64"))
    demo.variables["CONDA_OVERRIDE_GLIBC"] = "no version"
    with pytest.raises(EnvError, match="CONDA_OVERRIDE_"):
        resolved(demo, Wish(platform="linux-aarch64"))


def test_what_is_locked_stays_and_what_is_named_does_not(demo: EnvSpace, own: CondaChannel) -> None:
    lock = resolved(demo)
    own.add(generic("demo-lib", "2.0"), generic("demo-app", "2.0", "demo-lib"))
    assert versions_of(resolved(demo))["demo-app"].startswith("2.0")
    assert resolved(demo, Wish(kept=lock)) == lock
    some = versions_of(resolved(demo, Wish(kept=lock, upgraded=frozenset({"demo-lib"}))))
    assert some["demo-lib"].startswith("2.0")
    assert some["demo-app"].startswith("1.0")


@pytest.mark.slow
def test_pip_section_is_locked_for_the_python_of_the_lock_and_keeps_its_versions(
    conda: EnvSpace,
) -> None:
    conda.write(
        {"conda.yaml": "channels: [tests]\ndependencies: [python, alpha, {pip: [beta, 'alpha']}]\n"}
    )
    lock = resolved(conda)
    assert "# beta==1.0 \\\n" in lock
    assert "# alpha==" not in lock
    assert resolved(conda, Wish(kept=lock)) == lock
