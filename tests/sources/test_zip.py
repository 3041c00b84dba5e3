from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from flowrun.errors import SourceError, UnreachableError
from flowrun.sources.archive import Limits, extract
from flowrun.sources.source import SourceKind
from tests.sources.conftest import Sources
from tests.support.git_http import git_host


def _zip(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


PROJECT = {
    "MLproject": "name: wine",
    "sub/MLproject": "name: sub",
    ".gitignore": "*.txt",
    "a.txt": "a",
}


@pytest.mark.parametrize("form", ["path", "url"])
def test_zip_on_disk_is_all_of_its_files(sources: Sources, form: str) -> None:
    path = _zip(sources.cwd / "wine.zip", PROJECT)
    source = sources.resolve({"path": "wine.zip", "url": path.as_uri()}[form])
    assert sources.files(source) == PROJECT
    assert source.kind is SourceKind.ZIP
    assert source.uri == path.as_uri()
    assert (source.commit, source.repo_url, source.directory) == (None, None, None)


def test_folder_of_a_zip_is_a_project(sources: Sources) -> None:
    _zip(sources.cwd / "wine.zip", PROJECT)
    source = sources.resolve("wine.zip#sub")
    assert sources.files(source) == {"MLproject": "name: sub"}
    assert source.subdir == "sub"


def test_single_top_folder_is_entered(sources: Sources) -> None:
    _zip(sources.cwd / "wine.zip", {f"wine-main/{name}": text for name, text in PROJECT.items()})
    assert sources.files(sources.resolve("wine.zip")) == PROJECT
    assert sources.files(sources.resolve("wine.zip#sub")) == {"MLproject": "name: sub"}
    assert sources.files(sources.resolve("wine.zip#wine-main/sub")) == {"MLproject": "name: sub"}


def test_single_top_folder_without_a_project_is_not_entered(sources: Sources) -> None:
    _zip(sources.cwd / "wine.zip", {"src/train.py": "1"})
    assert sources.resolve("wine.zip").subdir == ""


def test_program_in_a_zip_stays_one(sources: Sources) -> None:
    info = zipfile.ZipInfo("run.sh")
    info.external_attr = (stat.S_IFREG | 0o755) << 16
    with zipfile.ZipFile(sources.cwd / "wine.zip", "w") as archive:
        archive.writestr(info, "#!/bin/sh\n")
    out = sources.cache.write_out(sources.resolve("wine.zip"), sources.cwd / "out")
    assert (out / "run.sh").stat().st_mode & stat.S_IXUSR


def test_zipped_checkout_leaves_gits_folder_out(sources: Sources) -> None:
    _zip(
        sources.cwd / "wine.zip",
        {"MLproject": "name: wine", ".git/hooks/evil": "x", "__MACOSX/a": "x"},
    )
    assert sources.files(sources.resolve("wine.zip")) == {"MLproject": "name: wine"}


def test_changed_zip_is_read_again(sources: Sources) -> None:
    path = _zip(sources.cwd / "wine.zip", {"MLproject": "name: one"})
    first = sources.resolve("wine.zip")
    _zip(path, {"MLproject": "name: two"})
    assert sources.files(sources.resolve("wine.zip")) == {"MLproject": "name: two"}
    assert sources.files(first) == {"MLproject": "name: one"}


EVIL = {
    "absolute": ("/etc/x", 0, "has a name that is no relative path"),
    "climbing": ("../x", 0, "leads out of its folder"),
    "climbing later": ("a/../../x", 0, "leads out of its folder"),
    "backslash": ("..\\x", 0, "has a name that is no relative path"),
    "control": ("a\x1b[31m", 0, "has a name that is no relative path"),
    "link": ("link", stat.S_IFLNK | 0o777, "is a link or a device"),
    "device": ("null", stat.S_IFCHR | 0o666, "is a link or a device"),
}


@pytest.mark.parametrize(("name", "mode", "reason"), EVIL.values(), ids=EVIL.keys())
def test_member_that_reaches_out_is_refused(
    sources: Sources, name: str, mode: int, reason: str
) -> None:
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr = name, mode << 16
    path = sources.cwd / "wine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MLproject", "name: wine")
        archive.writestr(info, "/etc/passwd")
    assert str(sources.error("wine.zip")) == (
        f"{path.as_uri()}: the member {name!r} {reason}; nothing was unpacked"
    )
    assert list((sources.root / "tmp").iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_that_comes_twice_is_refused(sources: Sources) -> None:
    path = sources.cwd / "wine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MLproject", "name: one")
        archive.writestr("MLproject", "name: two")
    assert str(sources.error("wine.zip")) == f"{path.as_uri()}: holds 'MLproject' twice"


def test_bomb_is_refused_while_it_unpacks(sources: Sources) -> None:
    path = sources.cwd / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(80):
            member.write(bytes(1 << 20))
    assert str(sources.error("bomb.zip")) == (
        f"{path.as_uri()}: unpacks to far more than a project holds, and was refused\n"
        "Unpack it yourself, if you trust it, and give the folder."
    )
    assert list((sources.root / "tmp").iterdir()) == []


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "many.zip", {str(number): "" for number in range(11)})
    with pytest.raises(SourceError, match=r"^it: holds more than 10 files$"):
        extract(path, "it", tmp_path / "out", Limits(members=10))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_zip_says_so(sources: Sources, content: bytes) -> None:
    path = sources.cwd / "wine.zip"
    path.write_bytes(content)
    assert str(sources.error("wine.zip")) == (
        f"{path.as_uri()}: this is no zip file that can be read: File is not a zip file"
    )


def test_damaged_zip_says_so(sources: Sources) -> None:
    path = _zip(sources.cwd / "wine.zip", {"MLproject": "name: wine" * 100})
    damaged = bytearray(path.read_bytes())
    damaged[45] ^= 0xFF
    path.write_bytes(damaged)
    assert "this is no zip file that can be read" in str(sources.error("wine.zip"))


def test_zip_has_no_versions(sources: Sources) -> None:
    _zip(sources.cwd / "wine.zip", PROJECT)
    assert str(sources.error("wine.zip", "v1")) == (
        "version 'v1' was asked for, but a zip file has no versions"
    )


def test_zip_comes_from_the_web_without_its_secrets_being_shown(sources: Sources) -> None:
    content = _zip(sources.cwd / "wine.zip", PROJECT).read_bytes()
    with git_host(sources.cwd, login="ada:s3cret") as host:
        host.files["/a/wine.zip"] = content
        source = sources.resolve(f"http://ada:s3cret@{host.place}/a/wine.zip?sig=s3cret#sub")
        assert sources.files(source) == {"MLproject": "name: sub"}
        assert source.uri == f"{host.url}/a/wine.zip#sub"
        assert host.requests == ["GET /a/wine.zip?sig=s3cret"]
        assert "s3cret" not in repr(source) + "".join(sources.told)


def test_credentials_do_not_follow_a_redirect(sources: Sources) -> None:
    with git_host(sources.cwd) as host, git_host(sources.cwd) as other:
        other.files["/wine.zip"] = _zip(sources.cwd / "wine.zip", PROJECT).read_bytes()
        host.redirect = other.url
        sources.resolve(f"http://ada:s3cret@{host.place}/wine.zip")
        assert (host.authorizations, other.authorizations) == (["ada:s3cret"], [])


def test_redirect_to_a_file_is_refused(sources: Sources) -> None:
    _zip(sources.cwd / "wine.zip", PROJECT)
    with git_host(sources.cwd) as host:
        host.redirect = f"file://{sources.cwd}"
        error = sources.error(f"{host.url}/wine.zip")
        assert isinstance(error, UnreachableError)


def test_web_failures_say_what_failed(sources: Sources) -> None:
    with git_host(sources.cwd, login="a:b") as host:
        url = f"{host.url}/wine.zip"
        assert str(sources.error(url)) == (
            f"{url}: the host asks for a login, and lets nobody in without (HTTP 401)\n"
            "Give https://USER:TOKEN@...; it is used for this and never kept."
        )
    with git_host(sources.cwd) as host:
        url = f"{host.url}/wine.zip"
        assert str(sources.error(url)) == f"{url}: there is no such file (HTTP 404)"
    assert str(sources.error(url)).startswith(f"{url}: the host does not answer (")
