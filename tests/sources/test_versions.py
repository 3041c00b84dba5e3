from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flowrun.errors import SourceError
from flowrun.sources.source import SourceKind
from tests.sources.conftest import Sources
from tests.support.repositories import Repository


@pytest.fixture
def wine(tmp_path: Path) -> Repository:
    """Three commits: `first` (tags light and v1), `second` on feature/x, `third` on main."""
    wine = Repository.make(tmp_path / "wine", {"MLproject": "name: wine", "at": "first"})
    wine.tag("light")
    wine.tag("v1", "annotated")
    wine.branch("feature/x")
    wine.commit({"at": "second"})
    wine.git("switch", "--quiet", "main")
    wine.commit({"at": "third", "dir.d/MLproject": "name: inner"})
    wine.git("update-ref", "refs/pull/3/head", "feature/x")
    return wine


VERSIONS = {
    "branch": ("main", "third", "main"),
    "branch with a slash": ("feature/x", "second", "feature/x"),
    "tag": ("light", "first", None),
    "annotated tag": ("v1", "first", None),
    "full ref of a branch": ("refs/heads/feature/x", "second", "feature/x"),
    "full ref of a tag": ("refs/tags/v1", "first", None),
    "pull request": ("refs/pull/3/head", "second", None),
    "kind and name": ("tags/v1", "first", None),
    "HEAD": ("HEAD", "third", "main"),
}


@pytest.mark.parametrize("form", ["url", "path", "bare url", "bare path"])
@pytest.mark.parametrize(("version", "at", "branch"), VERSIONS.values(), ids=VERSIONS.keys())
def test_version_is_its_commit(
    sources: Sources, wine: Repository, form: str, version: str, at: str, branch: str | None
) -> None:
    bare = wine.bare(sources.cwd / "wine.git")
    uri = {"url": wine.url, "path": "wine", "bare url": bare.url, "bare path": "wine.git"}[form]
    source = sources.resolve(uri, version)
    assert sources.files(source)["at"] == at
    assert source.kind is SourceKind.GIT
    assert source.commit == wine.commit_of(version)
    assert source.tree == wine.tree_of(version)
    assert (source.ref, source.branch) == (version, branch)
    assert (source.directory, source.is_dirty) == (None, False)


def test_bare_repository_without_version_is_its_head(sources: Sources, wine: Repository) -> None:
    bare = wine.bare(sources.cwd / "wine.git")
    source = sources.resolve(f"{bare.url}#dir.d")
    assert sources.files(source) == {"MLproject": "name: inner"}
    assert (source.commit, source.branch, source.ref) == (wine.head, "main", None)
    assert source.uri == f"{bare.url}#dir.d"


def test_commit_is_found_by_all_or_some_of_its_digits(sources: Sources, wine: Repository) -> None:
    first = wine.commit_of("v1")
    for version in (first, first.upper(), first[:12], first[:7], first[:4]):
        assert sources.resolve("wine", version).commit == first


def test_commit_that_no_branch_leads_to_is_found(sources: Sources, wine: Repository) -> None:
    lost = wine.commit({"at": "lost"})
    wine.git("reset", "--quiet", "--hard", "HEAD~1")
    assert sources.files(sources.resolve("wine", lost))["at"] == "lost"


def test_version_of_a_subdirectory_is_that_subdirectory(sources: Sources, wine: Repository) -> None:
    source = sources.resolve("wine/dir.d", "main")
    assert source.subdir == "dir.d"
    assert source.uri == (wine.path / "dir.d").as_uri()


def test_branch_goes_before_a_tag_of_the_same_name(sources: Sources, wine: Repository) -> None:
    wine.git("branch", "same", "feature/x")
    wine.git("tag", "same", "v1")
    assert sources.resolve("wine", "same").branch == "same"
    assert sources.files(sources.resolve("wine", "refs/tags/same"))["at"] == "first"


def test_moved_branch_is_followed(sources: Sources, wine: Repository) -> None:
    sources.resolve("wine", "main")
    wine.commit({"at": "fourth"})
    assert sources.files(sources.resolve("wine", "main"))["at"] == "fourth"


def test_unknown_version_suggests_the_nearest(sources: Sources, wine: Repository) -> None:
    assert str(sources.error("wine", "mian")) == (
        f"{wine.url}: there is no branch or tag 'mian'\nDid you mean 'main'?"
    )
    assert str(sources.error("wine", "zzz")) == (
        f"{wine.url}: there is no branch or tag 'zzz'\nSee them with: git ls-remote {wine.url}"
    )
    assert str(sources.error("wine", "abcdef1")) == (
        f"{wine.url}: there is no branch, tag or commit 'abcdef1'\n"
        f"See them with: git ls-remote {wine.url}"
    )
    missing = "0123456789" * 4
    assert str(sources.error("wine", missing)) == (
        f"{wine.url}: there is no commit {missing}\n"
        "It may have been removed from its branch, or never been pushed."
    )


EXPRESSIONS = ["HEAD~1", "main^", "main@{1}", "a..b", ":/first", "main:at", "@"]
NO_NAMES = ["-b", "--upload-pack=x", "a b", "a\nb", "/a", "a/", "a//b", ".a", "a.lock", "a*", ""]


@pytest.mark.parametrize("version", EXPRESSIONS)
def test_expression_is_no_version(sources: Sources, wine: Repository, version: str) -> None:
    assert str(sources.error(wine.path, version)) == (
        f"version {version!r} is one of git's expressions, not a name\n"
        "Name a branch, a tag, a commit or refs/...."
    )


@pytest.mark.parametrize("version", NO_NAMES)
def test_what_no_ref_can_be_called_is_no_version(
    sources: Sources, wine: Repository, version: str
) -> None:
    assert str(sources.error(wine.path, version)) == (
        f"version {version!r} can't be the name of a version\n"
        "Name a branch, a tag, a commit or refs/...."
    )


def test_ambiguous_commit_asks_for_more_digits(sources: Sources, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "many", {"a": "a"})
    commits: dict[str, str] = {}
    for number in range(2000):
        commit = repository.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", str(number))
        twin = commits.setdefault(commit[:4], commit)
        if twin != commit:
            break
    else:
        raise AssertionError("no two commits begin alike")
    repository.git("branch", "one", twin)
    repository.git("branch", "two", commit)
    assert str(sources.error("many", commit[:4])) == (
        f"git: commit {commit[:4]} is ambiguous in {repository.url}: "
        f"it may be {', '.join(sorted((twin, commit)))}\nGive more digits."
    )


def test_repository_without_a_commit_has_no_versions(sources: Sources, tmp_path: Path) -> None:
    empty = Repository.make(tmp_path / "empty").bare(tmp_path / "empty.git")
    assert str(sources.error(empty.path)) == (
        f"{empty.url}: the repository has no default branch, and no commits"
    )


def test_damaged_bare_repository_is_no_repository(sources: Sources, tmp_path: Path) -> None:
    for name in ("HEAD", "objects", "refs"):
        (tmp_path / "fake.git" / name).mkdir(parents=True)
    error = sources.error("fake.git")
    assert isinstance(error, SourceError)
    assert error.message.startswith(f"file://{tmp_path}/fake.git: there is no git repository here")


def test_full_commit_needs_its_origin_no_more(sources: Sources, wine: Repository) -> None:
    bare = wine.bare(sources.cwd / "wine.git")
    sources.resolve(bare.url, "main")
    shutil.rmtree(bare.path)
    assert sources.files(sources.resolve(f"{bare.url}#dir.d", wine.head)) == {
        "MLproject": "name: inner"
    }


def test_moving_version_of_a_lost_origin_says_what_can_be_had(
    sources: Sources, wine: Repository
) -> None:
    bare = wine.bare(sources.cwd / "wine.git")
    sources.resolve(bare.url, "main")
    shutil.rmtree(bare.path)
    assert str(sources.error(bare.url, "main")) == (
        f"{bare.path}: no such file or directory\n"
        f"When last asked, main was commit {wine.head}; -v {wine.head} works without the network."
    )


def test_second_run_of_a_commit_asks_nobody(sources: Sources, wine: Repository) -> None:
    sources.resolve("wine", wine.head)
    sources.told.clear()
    sources.resolve("wine", wine.head)
    assert sources.told == []


def test_cache_holds_no_more_than_the_commit(sources: Sources, wine: Repository) -> None:
    source = sources.resolve("wine", "main")
    kept = Repository(source.repository)
    assert kept.git("rev-list", "--count", "--all") == "1"
    assert kept.git("for-each-ref", "--format=%(refname)") == "\n".join(
        (
            f"refs/flowrun/commits/{wine.head}",
            "refs/flowrun/incoming",
            f"refs/flowrun/whole/{wine.head}",
        )
    )


def test_sha256_repository_works(sources: Sources, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.mkdir()
    long = Repository(path)
    long.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    commit = long.commit({"a": "a"})
    assert len(commit) == 64
    assert sources.resolve("long").tree == long.tree_of()
    assert sources.resolve("long", "main").commit == commit
    assert sources.resolve("long", commit).commit == commit


def test_large_files_kept_elsewhere_are_told(sources: Sources, wine: Repository) -> None:
    wine.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    sources.resolve("wine", "main")
    assert sources.told[-1] == (
        f"{wine.url} keeps files in Git LFS, which flowrun does not fetch; "
        "from a local checkout it takes them as they are on disk"
    )
