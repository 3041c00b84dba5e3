from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.errors import SourceError
from flowrun.sources.credentials import Credentials
from flowrun.sources.uri import (
    GitUri,
    LocalUri,
    PageUri,
    ProjectUri,
    ZipUri,
    parse_uri,
    submodule_uri,
)

CWD = Path("/work")
SECRET = Credentials("https://host", "ada", "s3cret")

FORMS: dict[str, tuple[str, ProjectUri]] = {
    "https": ("https://host/team/wine.git", GitUri("https://host/team/wine.git")),
    "https with folder": ("https://host/o/r#a/b", GitUri("https://host/o/r", "a/b")),
    "folder with dots": ("https://host/o/r#v1.2/./x/", GitUri("https://host/o/r", "v1.2/x")),
    "pip's prefix": ("git+https://host/o/r", GitUri("https://host/o/r")),
    "quotes": ("'https://host/o/r'", GitUri("https://host/o/r")),
    "spelling of the host": ("HTTPS://Host:443/o/r/", GitUri("https://host/o/r")),
    "another port": ("https://host:8443/o/r", GitUri("https://host:8443/o/r")),
    "IPv6": ("https://[::1]:8443/o/r", GitUri("https://[::1]:8443/o/r")),
    "user and password": ("https://ada:s3cret@host/o/r", GitUri("https://host/o/r", "", SECRET)),
    "token alone": (
        "https://t%40k@host/o/r",
        GitUri("https://host/o/r", "", Credentials("https://host", "t@k")),
    ),
    "ssh": ("ssh://git@host:2222/o/r.git", GitUri("ssh://git@host:2222/o/r.git")),
    "ssh with password": ("ssh://git:s3cret@host/o/r", GitUri("ssh://git@host/o/r")),
    "git": ("git://host/o/r", GitUri("git://host/o/r")),
    "scp-like": ("git@host:team/wine.git#sub", GitUri("git@host:team/wine.git", "sub")),
    "scp-like without user": ("host:wine.git", GitUri("host:wine.git")),
    "relative path": ("wine#sub", LocalUri(CWD / "wine", "sub")),
    "absolute path": ("/data/wine", LocalUri(Path("/data/wine"))),
    "path with a colon": ("./a:b", LocalUri(CWD / "a:b")),
    "file URL": ("file:///data/my%20wine#sub", LocalUri(Path("/data/my wine"), "sub")),
    "zip on the web": (
        "https://ada:s3cret@host/a/wine.zip?sig=abc#sub",
        ZipUri("https://host/a/wine.zip", "sig=abc", "sub", SECRET),
    ),
    "GitHub page": (
        "https://host/o/r/tree/main/a/b",
        PageUri(GitUri("https://host/o/r"), ("main", "a", "b"), is_file=False),
    ),
    "GitHub page with a query": (
        "https://host/o/r/tree/main?tab=readme",
        PageUri(GitUri("https://host/o/r"), ("main",), is_file=False),
    ),
    "GitHub file": (
        "https://host/o/r/blob/main/a/MLproject#L10-L20",
        PageUri(GitUri("https://host/o/r"), ("main", "a", "MLproject"), is_file=True),
    ),
    "GitLab page": (
        "https://host/g/sub/r/-/tree/v1/a",
        PageUri(GitUri("https://host/g/sub/r"), ("v1", "a"), is_file=False),
    ),
    "Gitea page": (
        "https://host/o/r/src/branch/feature/x/a",
        PageUri(GitUri("https://host/o/r"), ("feature", "x", "a"), is_file=False),
    ),
    "Gitea file": (
        "https://host/o/r/src/tag/v1/MLproject",
        PageUri(GitUri("https://host/o/r"), ("v1", "MLproject"), is_file=True),
    ),
    "page with a folder behind": (
        "https://host/o/r/tree/main/a#b",
        PageUri(GitUri("https://host/o/r"), ("main", "a", "b"), is_file=False),
    ),
    "a repository called tree": ("https://host/o/tree", GitUri("https://host/o/tree")),
    "a group called tree": (
        "https://host/g/h/tree/r",
        PageUri(GitUri("https://host/g/h"), ("r",), is_file=False),
    ),
    "a path of .git": ("https://host/o/r.git/tree/x", GitUri("https://host/o/r.git/tree/x")),
}

REFUSED: dict[str, tuple[str, str]] = {
    "nothing": (
        "",
        "'': no project\nGive a path, file://, https://, ssh://, git:// or user@host:path.",
    ),
    "climbing": ("https://h/o/r#../..", "#../..: the folder must lie inside the repository"),
    "climbing later": ("wine#a/../../b", "#a/../../b: the folder must lie inside the repository"),
    "absolute folder": ("wine#/etc", "#/etc: the folder must be relative to the repository"),
    "backslash": ("wine#a\\b", "#a\\b: the folder must lie inside the repository"),
    "git's folder": ("wine#.git/hooks", "#.git/hooks: .git is git's own folder, not a project"),
    "NUL": ("wine\0", "'wine\\x00': a project URI can't hold control characters"),
    "line break": (
        "https://h/o\n/r",
        "'https://h/o\\n/r': a project URI can't hold control characters",
    ),
    "a command": (
        "ext::sh -c whoami://x",
        "ext::sh -c whoami://: flowrun does not fetch projects so\n"
        "Give a path, file://, https://, ssh://, git:// or user@host:path.",
    ),
    "an option as host": (
        "ssh://-oProxyCommand=x/o/r",
        "ssh://-oproxycommand=x/o/r: '-oproxycommand=x' is no name of a host",
    ),
    "an option as user": ("ssh://-x@host/o/r", "ssh://host/o/r: '-x' is no name of a user"),
    "an option as scp host": (
        "git@-oProxyCommand=x:o/r",
        "git@-oProxyCommand=x:o/r: this is neither a path that exists nor user@host:path",
    ),
    "a bad port": (
        "https://ada:s3cret@host:x/o/r",
        "https://host: Port could not be cast to integer value as 'x'",
    ),
    "a query": (
        "https://ada:s3cret@host/o/r?token=abc",
        "https://host/o/r: a git URL has no ?query\nChoose a version with -v and a folder with #.",
    ),
    "a file URL with a host": (
        "file://data/wine",
        "file://data/wine: a file URL has three slashes\nWrite file:///folder/project.",
    ),
    "a page that climbs": (
        "https://h/o/r/tree/main/%2e%2e/x",
        "#main/../x: the folder must lie inside the repository",
    ),
}

SUBMODULES: dict[str, tuple[str, str, str]] = {
    "beside": ("https://host/o/r", "../lib", "https://host/o/lib"),
    "below": ("https://host/o/r", "./lib", "https://host/o/r/lib"),
    "up twice": ("https://host/o/r", "../../p/lib", "https://host/p/lib"),
    "beside, scp-like": ("git@host:o/r.git", "../lib.git", "git@host:o/lib.git"),
    "up to the colon": ("git@host:r.git", "../lib.git", "git@host:lib.git"),
    "beside, on disk": ("file:///data/r", "../lib", "file:///data/lib"),
    "elsewhere": ("https://host/o/r", "ssh://git@other/lib", "ssh://git@other/lib"),
    "elsewhere, scp-like": ("https://host/o/r", "git@other:lib", "git@other:lib"),
    "a path, from a path": ("file:///data/r", "/data/lib", "file:///data/lib"),
}

REFUSED_SUBMODULES: dict[str, tuple[str, str]] = {
    "a path": (
        "/etc/lib",
        "https://host/o/r: a submodule has the URL '/etc/lib', a path on this machine",
    ),
    "a file URL": (
        "file:///etc/lib",
        "https://host/o/r: a submodule has the URL 'file:///etc/lib', a path on this machine",
    ),
    "an option": (
        "--upload-pack=x",
        "https://host/o/r: a submodule has the URL '--upload-pack=x', which is not allowed",
    ),
    "a relative path": (
        "lib",
        "https://host/o/r: a submodule has the URL 'lib', which is not allowed",
    ),
    "a command": (
        "ext::sh -c x",
        "https://host/o/r: a submodule has the URL 'ext::sh -c x', which is not allowed",
    ),
}


@pytest.mark.parametrize(("text", "meant"), FORMS.values(), ids=FORMS.keys())
def test_each_form_is_taken_apart(text: str, meant: ProjectUri) -> None:
    assert parse_uri(text, CWD) == meant


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_could_do_harm_is_refused(text: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_uri(text, CWD)
    assert str(caught.value) == message


def test_existing_path_with_a_colon_is_no_host(tmp_path: Path) -> None:
    (tmp_path / "host:wine").mkdir()
    assert parse_uri("host:wine", tmp_path) == LocalUri(tmp_path / "host:wine")


@pytest.mark.parametrize(("parent", "url", "meant"), SUBMODULES.values(), ids=SUBMODULES.keys())
def test_submodule_is_where_git_would_look(parent: str, url: str, meant: str) -> None:
    assert submodule_uri(GitUri(parent), url).url == meant


@pytest.mark.parametrize(("url", "message"), REFUSED_SUBMODULES.values(), ids=REFUSED_SUBMODULES)
def test_submodule_of_a_host_reaches_nothing_on_this_machine(url: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        submodule_uri(GitUri("https://host/o/r"), url)
    assert str(caught.value) == message


def test_credentials_are_for_the_same_host_only() -> None:
    parent = GitUri("https://host/o/r", "", SECRET)
    assert submodule_uri(parent, "../lib").credentials == SECRET
    assert submodule_uri(parent, "https://host.evil.example/lib").credentials is None
    assert submodule_uri(parent, "http://host/lib").credentials is None


def test_secret_is_not_in_the_text_of_a_value() -> None:
    assert "s3cret" not in repr(parse_uri("https://ada:s3cret@host/o/r", CWD))
    assert "ada" not in repr(parse_uri("https://ada:s3cret@host/o/r", CWD))
