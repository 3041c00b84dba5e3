"""Finding the Python that a project asks for."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from flowrun.envs.interpreters import search_path
from flowrun.errors import EnvError
from tests.envs.conftest import EnvSpace, run

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS = Path(sys.base_prefix).parent


@pytest.mark.parametrize("wanted", ["3.10", "3.12", "3.13"])
def test_another_python_is_found_and_used(wanted: str, space: EnvSpace) -> None:
    if not list(VERSIONS.glob(f"{wanted}.*/bin/python")):
        pytest.skip(f"no Python {wanted} in {VERSIONS}")
    space.write({"python_env.yaml": f"python: {wanted}\ndependencies: [alpha]"})
    env = space.ensure()
    code = "import sys, alpha; print('%d.%d' % sys.version_info[:2], alpha.version)"
    assert space.python(env, code) == f"{wanted} 2.0"
    assert env.lock.splitlines()[1].startswith(f"# python {wanted}.")


def test_shims_of_pyenv_do_not_hide_the_interpreters_behind_them(space: EnvSpace) -> None:
    shims = space.folder / "pyenv/shims"
    shims.mkdir(parents=True)
    for name in ("python", "python3", f"python{OWN}", "python3.1"):
        (shims / name).write_text("#!/bin/sh\nexit 127\n")
        (shims / name).chmod(0o755)
    (space.folder / "pyenv/versions").symlink_to(VERSIONS)
    space.variables.update(PYENV_ROOT=str(space.folder / "pyenv"), PATH=f"{shims}:/usr/bin:/bin")
    space.write({"python_env.yaml": f"python: '>={OWN}'"})
    space.check()


def test_callers_own_python_goes_first_where_it_fits(space: EnvSpace) -> None:
    for wanted in (OWN, f"'>={OWN}'", sys.version.split()[0]):
        space.write({"python_env.yaml": f"python: {wanted}"})
        env = space.ensure()
        assert space.python(env, "import sys; print(sys.version)") == sys.version


def test_python_that_is_not_installed_is_told_before_anything_runs(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "python: 3.99"})
    with pytest.raises(EnvError) as error:
        space.check()
    assert error.value.message == "Python 3.99 is not installed."
    assert error.value.hint is not None
    assert error.value.hint.startswith("Found here: ")
    assert sys.version.split()[0] in error.value.hint
    assert error.value.hint.endswith(
        "Ask for one of them, or install it (`uv python install 3.99`, pyenv, your system's "
        "packages)."
    )


def test_python_that_uv_may_not_download_is_not_installed(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "python: 3.14"})
    for settings in ({"UV_PYTHON_DOWNLOADS": "manual"}, {"UV_OFFLINE": "1"}):
        space.variables.update(settings)
        with pytest.raises(EnvError, match=r"^Python 3\.14 is not installed\."):
            space.check()


@pytest.mark.parametrize("setting", ["automatic", ""])
def test_python_that_uv_may_download_passes_the_check(setting: str, space: EnvSpace) -> None:
    space.variables["UV_PYTHON_DOWNLOADS"] = setting
    if not setting:
        del space.variables["UV_PYTHON_DOWNLOADS"]
    space.write({"python_env.yaml": "python: 3.14"})
    space.check()


def test_download_that_fails_names_what_is_there(space: EnvSpace) -> None:
    space.variables.update(
        UV_PYTHON_DOWNLOADS="automatic",
        UV_PYTHON_INSTALL_MIRROR="http://localhost:9",
        UV_HTTP_RETRIES="0",
    )
    space.write({"python_env.yaml": "python: 3.14"})
    with pytest.raises(EnvError) as error:
        space.ensure()
    assert space.said == ["downloading Python 3.14"]
    assert error.value.message.startswith(
        "Python 3.14 is not installed. It could not be downloaded either: "
    )
    assert sys.version.split()[0] in (error.value.hint or "")


@pytest.fixture
def other(space: EnvSpace) -> Path:
    """The only interpreter beside the caller's: a link to one of another version."""
    found = sorted(VERSIONS.glob("3.1[023].*/bin/python3.1[023]"))
    if not found:
        pytest.skip(f"no other Python in {VERSIONS}")
    link = space.folder / "bin" / found[-1].name
    link.parent.mkdir()
    link.symlink_to(found[-1])
    space.variables.update(PYENV_ROOT=str(space.folder / "none"), PATH=str(link.parent))
    space.write({"python_env.yaml": f"python: {link.name.removeprefix('python')}"})
    return link


@pytest.mark.usefixtures("other")
def test_interpreter_once_found_is_not_searched_again(space: EnvSpace) -> None:
    first = space.ensure()
    space.variables["UV_PYTHON_PREFERENCE"] = "a value at which uv fails"
    assert space.ensure() == first


def test_interpreter_that_is_gone_is_searched_again(space: EnvSpace, other: Path) -> None:
    space.ensure()
    other.unlink()
    with pytest.raises(EnvError, match="is not installed"):
        space.ensure()


def test_search_path_puts_the_real_interpreters_in_the_place_of_shims(tmp_path: Path) -> None:
    for version in ("3.9.1", "3.12.0", "2.7.18"):
        (tmp_path / "versions" / version / "bin").mkdir(parents=True)
    path = search_path({"PATH": f"{tmp_path}/shims:/usr/bin", "PYENV_ROOT": str(tmp_path)})
    assert path.split(":") == [
        "/usr/bin",
        f"{tmp_path}/versions/3.12.0/bin",
        f"{tmp_path}/versions/3.9.1/bin",
    ]


def test_search_path_without_pyenv_is_the_callers() -> None:
    assert search_path({"PATH": "/usr/bin:/bin"}) == "/usr/bin:/bin"


def test_threads_that_ask_at_once_get_the_same_answer(space: EnvSpace) -> None:
    code = (
        "import sys, threading; from pathlib import Path; sys.setswitchinterval(1e-6);"
        "from flowrun.envs.interpreters import Interpreters;"
        "own = Interpreters(Path(sys.argv[1]), list, {}, Path(sys.executable), lambda: False);"
        "barrier, found = threading.Barrier(8), [];"
        "ask = lambda: (barrier.wait(), found.append(own.caller().abi));"
        "threads = [threading.Thread(target=ask) for _ in range(8)];"
        "[each.start() for each in threads]; [each.join() for each in threads];"
        "print(len(found), *set(found))"
    )
    said = run(sys.executable, "-c", code, space.folder, directory=Path.cwd())
    assert said == f"8 {sysconfig.get_config_var('SOABI')}"
