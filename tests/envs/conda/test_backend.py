"""conda environments: what steps get, what is shared, what is locked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rattler import LockFile

from flowrun.envs.base import PrefixEnv
from flowrun.errors import EnvError
from tests.envs.conda.conftest import conda_yaml
from tests.envs.conftest import EnvSpace, conda_env, run
from tests.support.conda_channel import CondaChannel
from tests.support.conda_channels import generic

pytestmark = pytest.mark.conda
DEMO = (generic("demo-lib", "2.0"), generic("demo-app", "2.0", "demo-lib >=2"))
WITH_PIP = """
channels: [tests]
dependencies:
- python
- markupsafe
- alpha
- pip: [beta, 'alpha>=1']
variables: {GREETING: hello 'there', COUNT: 3}
"""


def version_of(env: PrefixEnv, name: str) -> str:
    assert env.prefix is not None
    return (env.prefix / f"share/{name}/version.txt").read_text().strip()


def remove_environments(space: EnvSpace) -> None:
    subprocess.run(["rm", "-rf", str(space.root / "envs")], check=True)


@pytest.mark.slow
def test_environment_has_conda_packages_and_those_of_the_pip_section(conda: EnvSpace) -> None:
    conda.write({"conda.yaml": WITH_PIP})
    env = conda.ensure(conda_env())
    code = "import alpha, beta, markupsafe, sys; print(alpha.maker, beta.version, sys.prefix)"
    assert conda.python(env, code) == f"conda 1.0 {env.prefix}"
    assert conda.python(env, "import markupsafe._speedups as it; print(it.__file__)").startswith(
        str(env.prefix)
    )


@pytest.mark.slow
def test_lock_is_a_rattler_lock_with_hashes_and_the_pip_part(
    conda: EnvSpace, tmp_path: Path
) -> None:
    conda.write({"conda.yaml": WITH_PIP})
    env = conda.ensure()
    (tmp_path / "pixi.lock").write_text(env.lock)
    lock = LockFile.from_path(tmp_path / "pixi.lock")
    (platform,) = lock.platforms()
    environment = lock.default_environment()
    assert environment is not None
    records = environment.conda_repodata_records_for_platform(platform) or []
    assert sorted(each.name.normalized for each in records) == ["alpha", "markupsafe", "python"]
    assert all(each.sha256 for each in records)
    assert "\n# pip\n# # env/1\n# # python 3" in env.lock
    assert "\n# beta==1.0 \\\n#     --hash=sha256:" in env.lock
    assert "# alpha==" not in env.lock


def test_second_request_gets_the_same_environment_silently(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-app"))
    first = conda.ensure()
    assert conda.said == [
        "resolving conda.yaml (1 conda package)",
        f"building environment {first.key[:8]} (conda.yaml)",
    ]
    conda.said.clear()
    assert conda.ensure() == first
    assert conda.said == []


def test_second_request_needs_no_channel(own: CondaChannel, space: EnvSpace) -> None:
    own.add(*DEMO)
    space.write(conda_yaml("demo-app"))
    first = space.ensure()
    shutil.rmtree(own.folder)
    space.check()
    assert space.ensure() == first


def test_second_environment_of_the_same_packages_needs_no_archives(
    own: CondaChannel, space: EnvSpace
) -> None:
    own.add(*DEMO)
    space.write(conda_yaml("demo-app"))
    space.ensure()
    shutil.rmtree(own.folder)
    remove_environments(space)
    assert version_of(space.ensure(), "demo-app") == "2.0"


def test_environments_of_one_machine_share_no_file(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-app"))
    env = conda.ensure()
    assert env.prefix is not None
    files = [path for path in env.prefix.rglob("*") if path.is_file()]
    assert {path.stat().st_nlink for path in files} == {1}
    assert not [path for path in files if path.is_symlink()]


def test_change_in_an_environment_does_not_reach_the_next_one(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-lib"))
    env = conda.ensure()
    assert env.prefix is not None
    (env.prefix / "share/demo-lib/version.txt").write_text("changed by a step\n")
    conda.write(conda_yaml("demo-lib", "demo-app"))
    assert version_of(conda.ensure(), "demo-lib") == "2.0"


def test_damaged_archive_of_the_package_cache_is_fetched_again(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-lib"))
    conda.ensure()
    (kept,) = (conda.root / "memos/conda/archives").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + b"!")
    remove_environments(conda)
    assert version_of(conda.ensure(), "demo-lib") == "2.0"
    assert kept.read_bytes() == whole


def test_projects_that_ask_for_the_same_share_an_environment(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-app"))
    first = conda.ensure()
    conda.write(conda_yaml("demo-lib=2.0", "demo-app=2.0"))
    assert conda.ensure() == first


def test_steps_get_what_activation_would_set(conda: EnvSpace) -> None:
    text = conda_yaml("activated")["conda.yaml"] + "variables: {GREETING: hello 'there', COUNT: 3}"
    conda.write({"conda.yaml": text})
    env = conda.ensure()
    assert env.prefix is not None
    assert env.variables == {
        "CONDA_PREFIX": str(env.prefix),
        "CONDA_DEFAULT_ENV": str(env.prefix),
        "CONDA_SHLVL": "1",
        "ACTIVATED": f"{env.prefix}/share/activated",
        "GREETING": "hello 'there'",
        "COUNT": "3",
    }
    assert env.path_entries == (env.prefix / "share/activated/bin", env.prefix / "bin")


def test_first_channel_that_has_a_package_is_the_only_one_for_it(
    own: CondaChannel, space: EnvSpace
) -> None:
    own.add(generic("demo-lib", "1.0"))
    second = CondaChannel(own.folder.with_name("second"))
    second.add(generic("demo-lib", "3.0"), generic("demo-app", "3.0"))
    space.write(conda_yaml("demo-lib", "demo-app", channel="tests, second"))
    env = space.ensure()
    assert (version_of(env, "demo-lib"), version_of(env, "demo-app")) == ("1.0", "3.0")


def test_dependency_may_name_its_channel(own: CondaChannel, space: EnvSpace) -> None:
    own.add(generic("demo-lib", "1.0"))
    CondaChannel(own.folder.with_name("second")).add(generic("demo-lib", "3.0"))
    space.write(conda_yaml("second::demo-lib"))
    assert version_of(space.ensure(), "demo-lib") == "3.0"


def test_mirror_is_asked_but_not_told(shared: CondaChannel, space: EnvSpace) -> None:
    space.variables["FLOWRUN_CONDA_MIRRORS"] = (
        f"https://conda.anaconda.org={shared.folder.parent.as_uri()}"
    )
    space.write(conda_yaml("demo-app"))
    env = space.ensure()
    assert env.prefix is not None
    assert "conda: https://conda.anaconda.org/tests/noarch/demo-app-2.0-0.conda" in env.lock
    assert shared.url not in env.lock
    record = json.loads((env.prefix / "conda-meta/demo-app-2.0-0.json").read_text())
    assert record["url"] == "https://conda.anaconda.org/tests/noarch/demo-app-2.0-0.conda"
    remove_environments(space)
    assert space.ensure().lock == env.lock


def test_file_that_names_no_channel_gets_the_default_ones(
    shared: CondaChannel, space: EnvSpace
) -> None:
    space.variables["FLOWRUN_CONDA_DEFAULT_CHANNELS"] = shared.url
    space.write({"conda.yaml": "dependencies: [demo-app]"})
    assert version_of(space.ensure(), "demo-app") == "2.0"


def test_virtual_packages_can_be_overridden(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-gpu"))
    conda.variables["CONDA_OVERRIDE_CUDA"] = "12.4"
    assert version_of(conda.ensure(), "demo-gpu") == "1.0"
    conda.variables["CONDA_OVERRIDE_CUDA"] = ""
    with pytest.raises(EnvError, match="takes it to have one"):
        conda.ensure()


def test_warm_environment_needs_no_rattler(conda: EnvSpace) -> None:
    conda.write(conda_yaml("demo-app"))
    conda.check()
    key = conda.ensure().key
    code = (
        "import json, sys; from pathlib import Path; from flowrun.envs.base import EnvRequest;"
        "from flowrun.envs.store import EnvStore; from flowrun.spec.project import *;"
        "root, project, variables = sys.argv[1:];"
        "store = EnvStore(Path(root), variables=json.loads(variables),"
        " caller_python=Path(sys.executable));"
        "request = EnvRequest(EnvSpec(EnvKind.IMPLIED), Path(project));"
        "store.check(request, None); env = store.ensure(request, None, print);"
        "print(env.key, 'rattler' in sys.modules)"
    )
    words = [str(conda.root), str(conda.project), json.dumps(conda.variables)]
    said = run(sys.executable, "-c", code, *words, directory=Path.cwd())
    assert said == f"{key} False"


@pytest.mark.slow
def test_project_without_an_environment_file_can_have_a_conda_python(
    shared: CondaChannel, space: EnvSpace
) -> None:
    space.variables["FLOWRUN_CONDA_DEFAULT_CHANNELS"] = shared.url
    env = space.ensure(manager="conda")
    assert space.python(env, "import os; print(os.name)") == "posix"


DAMAGE = {"records gone": "conda-meta", "interpreter gone": "bin", "packages gone": "lib"}


@pytest.mark.slow
def test_damaged_environment_is_built_again(conda: EnvSpace) -> None:
    conda.write(conda_yaml("python", "greeter"))
    for gone in DAMAGE.values():
        env = conda.ensure()
        subprocess.run(["rm", "-rf", f"{env.prefix}/{gone}"], check=True)
        again = conda.ensure()
        assert again.key == env.key
        assert conda.python(again, "import greeter; print(greeter.greet())") == "hello"
    assert len([each for each in os.scandir(conda.root / "envs") if each.is_dir()]) == 1
