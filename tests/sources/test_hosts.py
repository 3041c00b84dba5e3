from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flowrun.errors import SourceError, UnreachableError
from tests.sources.conftest import Sources
from tests.support.git_http import GitHost, git_host
from tests.support.repositories import GIT, VARIABLES, Repository
from tests.support.waiting import until


@pytest.fixture
def wine(tmp_path: Path) -> Repository:
    """The bare repository o/wine.git below the folder `srv`, with a branch that has slashes."""
    wine = Repository.make(
        tmp_path / "wine", {"MLproject": "name: wine", "at": "main", "dir/MLproject": "name: dir"}
    )
    wine.tag("v1", "annotated")
    wine.branch("feature/x")
    wine.commit({"at": "feature"})
    wine.git("switch", "--quiet", "main")
    return wine.bare(tmp_path / "srv" / "o" / "wine.git")


@pytest.fixture
def host(wine: Repository) -> Iterator[GitHost]:
    with git_host(wine.path.parent.parent) as host:
        yield host


@pytest.fixture
def private_host(wine: Repository) -> Iterator[GitHost]:
    with git_host(wine.path.parent.parent, login="ada:s3cr t/@") as host:
        yield host


def test_repository_comes_over_http(sources: Sources, host: GitHost, wine: Repository) -> None:
    source = sources.resolve(f"{host.url}/o/wine.git", "v1")
    assert sources.files(source)["at"] == "main"
    assert source.repo_url == f"{host.url}/o/wine.git"
    assert source.commit == wine.head


def test_commit_in_the_cache_needs_no_network(sources: Sources, host: GitHost) -> None:
    source = sources.resolve(f"{host.url}/o/wine.git", "main")
    host.requests.clear()
    again = sources.resolve(f"{host.url}/o/wine.git", source.commit)
    assert again.tree == source.tree
    assert host.requests == []


def test_known_commit_of_a_branch_is_asked_for_but_not_fetched(
    sources: Sources, host: GitHost
) -> None:
    sources.resolve(f"{host.url}/o/wine.git", "main")
    host.requests.clear()
    sources.resolve(f"{host.url}/o/wine.git", "main")
    assert host.requests == [
        "GET /o/wine.git/info/refs?service=git-upload-pack",
        "POST /o/wine.git/git-upload-pack",
    ]


def test_dumb_http_server_is_enough(sources: Sources, host: GitHost, wine: Repository) -> None:
    wine.git("update-server-info")
    root = wine.path
    host.files = {
        f"/dumb/{path.relative_to(root)}": path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
    source = sources.resolve(f"{host.url}/dumb", "feature/x")
    assert sources.files(source)["at"] == "feature"


def test_old_server_gives_the_commit_with_its_whole_history(
    sources: Sources, host: GitHost, wine: Repository
) -> None:
    host.is_old = True
    inner = wine.commit_of("feature/x~1")
    wine.git("update-ref", "-d", "refs/heads/main")
    wine.git("update-ref", "-d", "refs/tags/v1")
    source = sources.resolve(f"{host.url}/o/wine.git", inner)
    assert sources.files(source)["at"] == "main"
    assert sources.error(f"{host.url}/o/wine.git", "0" * 40).message == (
        f"{host.url}/o/wine.git: there is no commit {'0' * 40}"
    )


PAGES = {
    "folder": ("tree/main/dir", "name: dir"),
    "top": ("tree/main", "name: wine"),
    "branch with slashes": ("tree/feature/x/dir", "name: dir"),
    "tag": ("tree/v1/dir/", "name: dir"),
    "project file": ("blob/main/dir/MLproject#L1", "name: dir"),
    "GitLab": ("-/tree/feature/x/dir?ref_type=heads", "name: dir"),
    "Gitea": ("src/branch/feature/x/dir", "name: dir"),
    "Gitea file": ("src/branch/main/MLproject", "name: wine"),
}


@pytest.mark.parametrize(("page", "project"), PAGES.values(), ids=PAGES.keys())
def test_page_of_a_git_host_is_the_project_it_shows(
    sources: Sources, host: GitHost, wine: Repository, page: str, project: str
) -> None:
    wine.path.rename(wine.path.with_name("wine"))
    source = sources.resolve(f"{host.url}/o/wine/{page}")
    assert sources.files(source)["MLproject"] == project
    assert source.repo_url == f"{host.url}/o/wine"


def test_page_of_a_commit_is_that_commit(sources: Sources, host: GitHost, wine: Repository) -> None:
    commit = wine.commit_of("feature/x")
    wine.path.rename(wine.path.with_name("wine"))
    for digits in (commit, commit[:8]):
        source = sources.resolve(f"{host.url}/o/wine/tree/{digits}/dir")
        assert (source.commit, source.subdir) == (commit, "dir")


def test_page_that_shows_no_project_is_refused(
    sources: Sources, host: GitHost, wine: Repository
) -> None:
    wine.path.rename(wine.path.with_name("wine"))
    url = f"{host.url}/o/wine"
    assert str(sources.error(f"{url}/blob/main/at")) == (
        f"{url}: at is a file, not a project\nGive the address of the project's folder."
    )
    assert str(sources.error(f"{url}/tree/mian/dir")) == (
        f"{url}: there is no branch or tag 'mian'\nDid you mean 'main'?"
    )
    assert str(sources.error(f"{url}/tree/main/dir", "v1")) == (
        f"{url}: the address names a version itself (main/dir), and so does -v v1\n"
        "Give one of them."
    )


def test_credentials_in_the_url_open_the_door_and_are_kept_nowhere(
    sources: Sources, private_host: GitHost, tmp_path: Path
) -> None:
    helper = tmp_path / "stolen"
    (tmp_path / "home" / ".gitconfig").write_text(f"[credential]\nhelper = store --file={helper}\n")
    variables = {k: v for k, v in sources.variables.items() if k != "GIT_CONFIG_GLOBAL"}
    sources.variables = variables
    url = f"http://ada:s3cr%20t%2F%40@{private_host.place}/o/wine.git"
    source = sources.resolve(f"{url}#dir", "feature/x")
    assert sources.files(source) == {"MLproject": "name: dir"}
    assert private_host.authorizations[-1] == "ada:s3cr t/@"
    assert source.uri == f"{private_host.url}/o/wine.git#dir"
    assert not helper.exists()
    assert "s3cr" not in repr(source) + "".join(sources.told)
    for path in sources.root.rglob("*"):
        assert not path.is_file() or b"s3cr" not in path.read_bytes()


def test_users_own_credential_helper_works(sources: Sources, private_host: GitHost) -> None:
    helper = "!f() { echo username=ada; echo 'password=s3cr t/@'; }; f"
    sources.variables = {
        **sources.variables,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": helper,
    }
    source = sources.resolve(f"{private_host.url}/o/wine.git")
    assert sources.files(source)["at"] == "main"


def test_closed_door_says_how_to_get_in(sources: Sources, private_host: GitHost) -> None:
    url = f"{private_host.url}/o/wine.git"
    error = sources.error(url)
    assert isinstance(error, UnreachableError)
    assert str(error) == (
        f"{url}: the host asks for a login, and lets nobody in without (fatal: could not read "
        f"Username for '{private_host.url}': terminal prompts disabled)\n"
        f"flowrun uses what your own git uses: try `git ls-remote {url}`. A private repository "
        "needs an ssh key, a credential helper or https://USER:TOKEN@...."
    )


def test_refused_token_is_not_shown(sources: Sources, private_host: GitHost) -> None:
    error = sources.error(f"http://wr0ng@{private_host.place}/o/wine.git")
    assert isinstance(error, UnreachableError)
    assert "the host asks for a login" in error.message
    assert "wr0ng" not in str(error) + "".join(sources.told)


def test_credentials_do_not_follow_to_another_host(
    sources: Sources, private_host: GitHost, tmp_path: Path
) -> None:
    with git_host(tmp_path) as other:
        other.login = "x:y"
        private_host.redirect = other.url.replace("127.0.0.1", "localhost")
        sources.error(f"http://ada:s3cr%20t%2F%40@{private_host.place}/o/wine.git")
        assert other.requests
        assert other.authorizations == []


def test_submodule_beside_its_parent_gets_its_credentials(
    sources: Sources, private_host: GitHost, tmp_path: Path
) -> None:
    outer = Repository.make(tmp_path / "outer", {"MLproject": "name: outer"})
    outer.add_submodule(str(tmp_path / "wine"), "wine")
    outer.git("config", "--file", ".gitmodules", "submodule.wine.url", "../wine.git")
    outer.commit({}, "relative")
    outer.bare(tmp_path / "srv" / "o" / "outer.git")
    source = sources.resolve(f"http://ada:s3cr%20t%2F%40@{private_host.place}/o/outer.git")
    assert sources.files(source)["wine/dir/MLproject"] == "name: dir"


def test_submodule_of_a_host_on_this_disk_is_refused(
    sources: Sources, host: GitHost, tmp_path: Path
) -> None:
    outer = Repository.make(tmp_path / "outer", {"MLproject": "name: outer"})
    outer.add_submodule(str(tmp_path / "wine"), "wine")
    outer.bare(tmp_path / "srv" / "o" / "outer.git")
    assert str(sources.error(f"{host.url}/o/outer.git")) == (
        f"{host.url}/o/outer.git: a submodule has the URL '{tmp_path}/wine', a path on this machine"
    )


def test_address_without_repository_says_so(sources: Sources, host: GitHost) -> None:
    url = f"{host.url}/o/none.git"
    error = sources.error(url)
    assert isinstance(error, SourceError)
    assert str(error) == (
        f"{url}: there is no git repository here (fatal: repository '{url}/' not found)\n"
        "Check the address; it must be one that `git clone` takes."
    )


def test_unreachable_host_says_so(sources: Sources) -> None:
    port = _free_port()
    error = sources.error(f"http://127.0.0.1:{port}/o/wine.git")
    assert isinstance(error, UnreachableError)
    assert error.message.startswith(f"http://127.0.0.1:{port}/o/wine.git: the host does not answer")


def test_unknown_host_says_so(sources: Sources) -> None:
    error = sources.error("https://nowhere.invalid/o/wine.git")
    assert isinstance(error, UnreachableError)
    assert error.message.startswith(
        "https://nowhere.invalid/o/wine.git: there is no host of this name, or no network"
    )


def test_short_commit_works_offline_once_seen(
    sources: Sources, host: GitHost, wine: Repository
) -> None:
    url = f"{host.url}/o/wine.git"
    sources.resolve(url, wine.head[:8])
    sources.resolve(url, "main")
    host.redirect = f"http://127.0.0.1:{_free_port()}"
    assert sources.resolve(url, wine.head[:8]).commit == wine.head
    error = sources.error(url, "main")
    assert isinstance(error, UnreachableError)
    assert error.hint == (
        f"When last asked, main was commit {wine.head}; -v {wine.head} works without the network."
    )


@pytest.mark.parametrize(
    ("scheme", "reason"),
    {
        "http": "fatal: unable to access '{url}/': Operation too slow. Less than 1 bytes/sec "
        "transferred the last 1 seconds",
        "git": "it said nothing for 2 s",
    }.items(),
)
def test_silent_host_is_given_up(sources: Sources, scheme: str, reason: str) -> None:
    sources.patience_s = 1
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/o/wine.git"
        assert str(sources.error(url)) == (
            f"{url}: the host does not answer ({reason.format(url=url)})"
        )
        assert not _processes_naming(url)


def _processes_naming(text: str) -> list[str]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = line.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text.encode() in command:
            found.append(command.decode())
    return found


def test_repository_comes_by_gits_own_protocol(sources: Sources, wine: Repository) -> None:
    with _git_daemon(wine.path.parent.parent) as port:
        source = sources.resolve(f"git://127.0.0.1:{port}/o/wine.git", "feature/x")
        assert sources.files(source)["at"] == "feature"


@pytest.mark.parametrize("form", ["ssh://git@example.org{path}", "git@example.org:{path}"])
def test_repository_comes_by_the_users_ssh(
    sources: Sources, wine: Repository, form: str, tmp_path: Path
) -> None:
    sources.variables = {**sources.variables, **_ssh_that_stays_here(tmp_path)}
    url = form.format(path=wine.path)
    source = sources.resolve(f"{url}#dir", "v1")
    assert sources.files(source) == {"MLproject": "name: dir"}
    assert source.repo_url == url
    assert (tmp_path / "hosts").read_text().split("\n")[0] == "git@example.org"


def test_refused_ssh_key_says_how_to_get_in(sources: Sources, tmp_path: Path) -> None:
    ssh = _script(tmp_path, "echo 'git@example.org: Permission denied (publickey).' >&2; exit 255")
    sources.variables = {**sources.variables, "GIT_SSH_COMMAND": ssh, "GIT_SSH_VARIANT": "ssh"}
    error = sources.error("git@example.org:o/wine.git")
    assert isinstance(error, UnreachableError)
    assert "the host asks for a login" in error.message


def test_progress_tells_what_is_fetched(sources: Sources, host: GitHost, tmp_path: Path) -> None:
    big = Repository.make(tmp_path / "big", {f"{n}.txt": str(n) for n in range(1500)})
    big.bare(tmp_path / "srv" / "o" / "big.git")
    url = f"{host.url}/o/big.git"
    sources.resolve(url)
    assert sources.told[:2] == [f"asking {url} for its versions", f"fetching {url}"]
    assert any(f"fetching {url}: receiving objects 100%" in line for line in sources.told)
    assert len(sources.told) < 60


def _ssh_that_stays_here(folder: Path) -> dict[str, str]:
    body = f'for host; do case "$host" in git@*) echo "$host" >> {folder}/hosts;; esac; done\n'
    body += 'for last; do :; done; exec sh -c "$last"'
    return {"GIT_SSH_COMMAND": _script(folder, body), "GIT_SSH_VARIANT": "ssh"}


def _script(folder: Path, body: str) -> str:
    path = folder / "ssh.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def _git_daemon(root: Path) -> Iterator[int]:
    port = _free_port()
    daemon = subprocess.Popen(
        [
            *(GIT, "daemon", "--export-all", "--reuseaddr", f"--base-path={root}"),
            *("--listen=127.0.0.1", f"--port={port}"),
        ],
        env=dict(VARIABLES),
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        until(lambda: _answers(port), what="git daemon")
        yield port
    finally:
        subprocess.run(["kill", "--", f"-{daemon.pid}"], check=False)
        daemon.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
