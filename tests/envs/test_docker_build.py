"""What an image is built from decides what it is, and nothing of the machine's does."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flowrun.envs.docker_build import BuildContext, baked_context, read_context
from flowrun.errors import EnvError
from flowrun.spec.project import BuildSpec

FILES = {
    "Dockerfile": "FROM scratch\n",
    "a/kept.py": "print(1)\n",
    "a/left.log": "noise\n",
    ".dockerignore": "# comment\n**/*.log\nDockerfile\n",
}


def project(folder: Path) -> Path:
    for name, text in FILES.items():
        path = folder / "box" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def context(folder: Path, *args: tuple[str, str] | str, **variables: str) -> BuildContext:
    return read_context(folder, BuildSpec("box", args=args), None, variables, "MLproject:2:1: ")


def test_equal_files_are_one_image_wherever_and_whenever_they_are(tmp_path: Path) -> None:
    first, second = project(tmp_path / "one"), project(tmp_path / "two")
    os.utime(second / "box/a/kept.py", (1, 1))
    (second / "box/a/kept.py").chmod(0o640)
    (second / "box/a/left.log").write_text("other noise\n")
    assert context(first).digest() == context(second).digest()


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file's content": lambda box: (box / "a/kept.py").write_text("print(2)\n"),
    "a file's name": lambda box: (box / "a/kept.py").rename(box / "a/other.py"),
    "whether it is a program": lambda box: (box / "a/kept.py").chmod(0o755),
    "one more file": lambda box: (box / "more").write_text(""),
    "an empty folder": lambda box: (box / "empty").mkdir(),
    "the Dockerfile": lambda box: (box / "Dockerfile").write_text("FROM base\n"),
    "what is left out": lambda box: (box / ".dockerignore").write_text(""),
    "where a link leads": lambda box: (box / "link").symlink_to("a"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_another_image_for(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = project(tmp_path)
    before = context(folder).digest()
    change(folder / "box")
    assert context(folder).digest() != before


def test_arguments_decide_and_a_name_alone_has_the_callers_value(tmp_path: Path) -> None:
    folder = project(tmp_path)
    set_here = context(folder, ("BASE", "b:1"))
    assert context(folder, "BASE", BASE="b:1").digest() == set_here.digest()
    assert context(folder, "BASE", OTHER="b:1").digest() == context(folder).digest()
    assert context(folder, "BASE", BASE="b:2").digest() != set_here.digest()


def test_the_engine_gets_roots_files_without_what_is_left_out(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "box/away").symlink_to("/etc/passwd")
    with context(folder).tar() as packed, tarfile.open(fileobj=packed) as archive:
        members = {member.name: member for member in archive.getmembers()}
        script = archive.extractfile("a/kept.py")
        assert script is not None
        assert script.read() == b"print(1)\n"
    assert sorted(members) == [".dockerignore", "Dockerfile", "a", "a/kept.py", "away"]
    assert {(m.uid, m.gid, m.uname, m.mtime) for m in members.values()} == {(0, 0, "", 0)}
    assert members["away"].issym()
    assert members["a/kept.py"].mode == 0o644


def test_a_baked_image_has_the_projects_files_where_mlflow_has_them(tmp_path: Path) -> None:
    folder = project(tmp_path)
    baked = baked_context(folder, "sha256:ab", None)
    with baked.tar() as packed, tarfile.open(fileobj=packed) as archive:
        dockerfile = archive.extractfile(".flowrun.Dockerfile")
        assert dockerfile is not None
        text = dockerfile.read().decode()
    code = "/mlflow/projects/code"
    assert text == f"FROM sha256:ab\nCOPY . {code}/\nWORKDIR {code}\n"


def test_nothing_outside_of_the_project_is_built_from(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    (folder / "out").symlink_to(project(tmp_path / "other") / "box")
    (folder / "box/Dockerfile").unlink()
    (folder / "box/Dockerfile").symlink_to(tmp_path / "other/box/Dockerfile")
    with pytest.raises(EnvError, match="docker_env: there is no directory 'out' to build"):
        read_context(folder, BuildSpec("out"), None, {}, "MLproject:2:1: ")
    with pytest.raises(EnvError, match="there is no Dockerfile 'box/Dockerfile' to build from"):
        context(folder)
