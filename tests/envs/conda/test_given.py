"""A conda environment is made again from its lock, and a lock can't say what it likes."""

from __future__ import annotations

import pytest

from flowrun.errors import SpecError
from tests.envs.conda.conftest import conda_yaml
from tests.envs.conftest import EnvSpace
from tests.envs.test_given_lock import made_again

pytestmark = pytest.mark.conda


@pytest.mark.slow
def test_conda_lock_gives_what_it_was_made_of(conda: EnvSpace) -> None:
    conda.write(conda_yaml("python", "alpha=1"))
    first = conda.ensure(manager="conda")
    assert made_again(conda, first.lock, "conda").key == first.key


CONDA_LOCK = """# env/1
version: 7
packages:
- conda: {url}
  sha256: {sha256}
"""
DIGEST = "0" * 64
HOSTILE_CONDA = {
    "another host": (
        CONDA_LOCK.format(url="https://evil.example/x/noarch/alpha-1-0.conda", sha256=DIGEST),
        "is in none of the environment's channels for",
    ),
    "a folder further up": (
        CONDA_LOCK.format(url="{channel}/noarch/../../alpha-1-0.conda", sha256=DIGEST),
        "is in none of the environment's channels for",
    ),
    "another platform": (
        CONDA_LOCK.format(url="{channel}/win-64/alpha-1-0.conda", sha256=DIGEST),
        "is in none of the environment's channels for",
    ),
    "no hash": (
        CONDA_LOCK.format(url="{channel}/noarch/alpha-1-0.conda", sha256="no"),
        "has no sha256",
    ),
    "a variable": (
        '# env/1\n# variable LD_PRELOAD "/tmp/x.so"\nversion: 7\n',
        "variable LD_PRELOAD is not set so in conda.yaml",
    ),
    "an option of pip's": (
        "# env/1\nversion: 7\n# pip\n# # env/1\n# # python 3.11\n# --index-url https://evil\n",
        "is an option, and a lock has none",
    ),
}


@pytest.mark.parametrize(("lock", "problem"), HOSTILE_CONDA.values(), ids=HOSTILE_CONDA)
def test_hostile_conda_lock_is_refused(lock: str, problem: str, space: EnvSpace) -> None:
    channel = (space.folder / "channel").as_uri()
    space.write(conda_yaml("python", channel=channel))
    with pytest.raises(SpecError) as error:
        made_again(space, lock.replace("{channel}", channel), "conda")
    assert problem in error.value.message
