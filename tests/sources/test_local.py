from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from flowrun.sources.cache import SourceCache
from flowrun.sources.source import SourceKind
from tests.sources.conftest import Sources, read_files
from tests.support.repositories import GIT, Repository


@pytest.fixture
def wine(tmp_path: Path) -> Repository:
    return Repository.make(
        tmp_path / "wine", {"MLproject": "name: wine", "sub/train.py": "1", ".gitignore": "*.tmp\n"}
    )


def test_clean_checkout_is_the_tree_of_its_commit(sources: Sources, wine: Repository) -> None:
    source = sources.resolve("wine")
    assert source.kind is SourceKind.LOCAL
    assert source.uri == wine.url
    assert source.tree == wine.tree_of()
    assert source.commit == wine.head
    assert source.branch == "main"
    assert (source.is_dirty, source.diff, source.subdir) == (False, None, "")
    assert source.directory == wine.path


def test_dirty_checkout_is_the_files_on_disk(sources: Sources, wine: Repository) -> None:
    wine.write({"sub/train.py": "2", "new.py": "new", "scratch.tmp": "ignored"})
    (wine.path / "MLproject").unlink()
    source = sources.resolve("wine")
    assert sources.files(source) == {
        ".gitignore": "*.tmp\n",
        "sub/train.py": "2",
        "new.py": "new",
    }
    assert source.is_dirty
    assert source.commit == wine.head


def test_diff_rebuilds_the_dirty_files_from_the_commit(
    sources: Sources, wine: Repository, tmp_path: Path
) -> None:
    wine.write({"sub/train.py": "2", "new.bin": bytes(range(256)) * 10})
    source = sources.resolve("wine")
    clone = tmp_path / "clone"
    wine.git("clone", "--quiet", ".", str(clone))
    Repository(clone).git("apply", "-", stdin=source.diff)
    assert (clone / "new.bin").read_bytes() == bytes(range(256)) * 10
    assert (clone / "sub/train.py").read_text() == "2"


def test_long_diff_is_cut_with_a_note(sources: Sources, wine: Repository) -> None:
    wine.write({"data.csv": "0123456789\n" * 500_000})
    source = sources.resolve("wine")
    assert source.diff is not None
    assert source.diff.endswith(
        f"\n# cut after 4194304 bytes; all of it is in tree {source.tree}\n"
    )
    assert len(source.diff) < 4194304 + 200


def test_changed_back_is_clean_again(sources: Sources, wine: Repository) -> None:
    wine.write({"sub/train.py": "2"})
    assert sources.resolve("wine").is_dirty
    wine.write({"sub/train.py": "1"})
    assert sources.resolve("wine").tree == wine.tree_of()


def test_checkout_is_not_touched(sources: Sources, wine: Repository) -> None:
    wine.write({"sub/train.py": "2", "staged.py": "s", "new.py": "n"})
    wine.git("add", "staged.py")
    status = wine.git("status", "--porcelain")
    before = _everything(wine.path)
    sources.resolve("wine")
    sources.resolve("wine", "main")
    sources.resolve("wine", wine.head[:8])
    assert _everything(wine.path) == before
    assert wine.git("status", "--porcelain") == status


def _everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_directory_without_git_is_its_files(sources: Sources, tmp_path: Path) -> None:
    Repository(tmp_path / "plain").write(
        {
            "MLproject": "name: plain",
            "__pycache__/a.pyc": "x",
            "mlruns/0/meta.yaml": "x",
            ".gitignore": "data/\n",
            "data/big.csv": "x",
            "empty/.keep": "",
        }
    )
    source = sources.resolve("plain")
    assert set(sources.files(source)) == {"MLproject", ".gitignore", "empty/.keep"}
    assert (source.commit, source.branch, source.is_dirty, source.diff) == (None, None, False, None)


def test_repository_without_commits_is_its_files(sources: Sources, tmp_path: Path) -> None:
    Repository.make(tmp_path / "fresh").write({"MLproject": "name: fresh"})
    source = sources.resolve("fresh")
    assert sources.files(source) == {"MLproject": "name: fresh"}
    assert (source.commit, source.is_dirty, source.diff) == (None, False, None)


def test_subdirectory_of_a_repository_keeps_its_place(sources: Sources, wine: Repository) -> None:
    source = sources.resolve("wine/sub")
    assert (source.subdir, source.tree) == ("sub", wine.tree_of())
    assert source.uri == (wine.path / "sub").as_uri()
    assert sources.files(source) == {"train.py": "1"}
    assert source.directory == wine.path / "sub"
    assert sources.resolve("wine#sub").subdir == "sub"


def test_linked_worktree_is_a_checkout_of_its_own(sources: Sources, wine: Repository) -> None:
    wine.git("worktree", "add", "--quiet", "-b", "other", "../linked")
    Repository(wine.path.parent / "linked").write({"sub/train.py": "linked"})
    source = sources.resolve("linked")
    assert (source.branch, source.is_dirty) == ("other", True)
    assert sources.files(source)["sub/train.py"] == "linked"


def test_detached_head_is_on_no_branch(sources: Sources, wine: Repository) -> None:
    wine.git("checkout", "--quiet", "--detach")
    assert sources.resolve("wine").branch is None


def test_file_ignored_since_leaves_the_tree(sources: Sources, wine: Repository) -> None:
    wine.write({"notes.txt": "n", "sub/train.py": "2"})
    assert "notes.txt" in sources.files(sources.resolve("wine"))
    wine.write({".gitignore": "*.tmp\nnotes.txt\n"})
    assert "notes.txt" not in sources.files(sources.resolve("wine"))


def test_ignored_file_that_was_added_by_force_stays(sources: Sources, wine: Repository) -> None:
    wine.write({"forced.tmp": "f"})
    wine.git("add", "--force", "forced.tmp")
    wine.git("commit", "--quiet", "--message", "forced")
    assert sources.resolve("wine").tree == wine.tree_of()
    wine.write({"forced.tmp": "changed"})
    source = sources.resolve("wine")
    assert sources.files(source)["forced.tmp"] == "changed"
    wine.git("rm", "--quiet", "--cached", "forced.tmp")
    assert "forced.tmp" not in sources.files(sources.resolve("wine"))


def test_repositorys_own_exclude_list_is_heeded(sources: Sources, wine: Repository) -> None:
    exclude = wine.path / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("local.cfg\n")
    wine.write({"local.cfg": "x"})
    assert sources.resolve("wine").tree == wine.tree_of()


def test_directory_that_its_repository_ignores_is_a_project_by_itself(
    sources: Sources, wine: Repository
) -> None:
    wine.write({".gitignore": "build/\n", "build/MLproject": "name: build"})
    source = sources.resolve("wine/build")
    assert sources.files(source) == {"MLproject": "name: build"}
    assert (source.subdir, source.commit) == ("", None)


def test_files_keep_their_modes_links_and_bytes(sources: Sources, wine: Repository) -> None:
    wine.write(
        {"run.sh": "#!/bin/sh\n", "crlf.txt": b"a\r\nb\r\n", ".gitattributes": "* text=auto\n"}
    )
    (wine.path / "run.sh").chmod(0o755)
    (wine.path / "latest").symlink_to("sub/train.py")
    (wine.path / "dangling").symlink_to("nothing")
    target = sources.cache.write_out(sources.resolve("wine"), sources.cwd / "out")
    assert os.access(target / "run.sh", os.X_OK)
    assert not os.access(target / "crlf.txt", os.X_OK)
    assert (target / "crlf.txt").read_bytes() == b"a\r\nb\r\n"
    assert (target / "latest").readlink() == Path("sub/train.py")
    assert (target / "dangling").readlink() == Path("nothing")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "sub/../../outside"])
def test_link_out_of_the_project_is_refused(
    sources: Sources, wine: Repository, target: str
) -> None:
    (wine.path / "leak").symlink_to(target)
    error = sources.error("wine")
    assert str(error) == (
        f"leak: this symbolic link leads out of the project, to {target!r}\n"
        "A step's code is an exact tree, which holds no files of this machine. Ignore the link "
        "(.gitignore) and pass what it leads to as a parameter of type path."
    )
    assert list((sources.root / "tmp").iterdir()) == []


def test_link_that_climbs_through_another_is_refused(sources: Sources, wine: Repository) -> None:
    (wine.path / "sub/top").symlink_to("..")
    (wine.path / "leak").symlink_to("sub/top/..")
    assert "leads out of the project" in sources.error("wine").message


def test_nothing_that_a_repository_names_is_executed(sources: Sources, wine: Repository) -> None:
    ran = sources.cwd / "ran"
    hook = wine.path / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    command = f"sh -c 'touch {ran}; cat'"
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv"):
        wine.git("config", key, command)
    wine.write({".gitattributes": "* filter=evil diff=evil\n", "sub/train.py": "2"})
    source = sources.resolve("wine")
    sources.cache.write_out(source, sources.cwd / "out")
    assert not ran.exists()


def test_callers_git_variables_choose_no_other_repository(
    sources: Sources, wine: Repository, tmp_path: Path
) -> None:
    other = Repository.make(tmp_path / "other", {"x": "x"})
    sources.variables = {
        **sources.variables,
        "GIT_DIR": str(other.path / ".git"),
        "GIT_INDEX_FILE": str(other.path / ".git" / "index"),
        "GIT_WORK_TREE": str(other.path),
    }
    assert sources.resolve("wine").tree == wine.tree_of()


def test_home_folder_is_no_project(sources: Sources) -> None:
    home = Path(sources.variables["HOME"])
    assert str(sources.error(home)) == (
        f"{home}: this is everything you have, not a project\n"
        "Change to the project's directory, or name it."
    )


def test_project_below_a_home_folder_in_git_is_read_alone(sources: Sources) -> None:
    home = Repository.make(Path(sources.variables["HOME"]), {".profile": "x"})
    home.write({"wine/MLproject": "name: wine"})
    source = sources.resolve(home.path / "wine")
    assert sources.files(source) == {"MLproject": "name: wine"}


def test_missing_path_suggests_the_nearest(sources: Sources, wine: Repository) -> None:
    assert str(sources.error("wines")) == (
        f"{sources.cwd}/wines: no such file or directory\nDid you mean {wine.path}?"
    )


def test_file_is_no_project(sources: Sources, wine: Repository) -> None:
    assert str(sources.error("wine/MLproject")) == (
        f"{wine.path}/MLproject: this is a file\n"
        "A project is a directory, a git repository or a zip file; give the directory that the "
        "file is in (a script in it is run with -e FILE.py)."
    )


def test_missing_folder_suggests_the_nearest(sources: Sources, wine: Repository) -> None:
    assert str(sources.error("wine#subs")) == (
        f"{wine.url}#subs: there is no folder 'subs' in the project\nDid you mean #sub?"
    )
    assert str(sources.error("wine#MLproject")) == (
        f"{wine.url}#MLproject: there is no folder 'MLproject' in the project\n"
        "Name the project's folder, not a file in it."
    )


def test_version_of_a_directory_without_git_is_refused(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert str(sources.error("plain", "v1")) == (
        f"{tmp_path}/plain: version 'v1' was asked for, but this directory is not in git"
    )


def test_without_git_the_message_says_so(sources: Sources, wine: Repository) -> None:
    sources.variables = {"PATH": "/nowhere", "HOME": "/nonexistent"}
    assert str(sources.error(wine.path)) == (
        "git: there is no such program on PATH (/nowhere)\n"
        "flowrun keeps every project as a git tree: install git 2.31 or newer."
    )


def test_tree_outlives_the_repository_it_came_from(
    sources: Sources, wine: Repository, tmp_path: Path
) -> None:
    wine.write({"new.py": "new"})
    source = sources.resolve("wine")
    subprocess.run(["rm", "-rf", wine.path, sources.root / "trees"], check=True)
    subprocess.run([GIT, "gc", "--quiet", "--prune=now"], cwd=source.repository, check=True)
    cache = SourceCache(sources.root, sources.variables)
    assert read_files(cache.write_out(source, tmp_path / "out"))["new.py"] == "new"


def test_origin_is_shown_without_its_token(sources: Sources, wine: Repository) -> None:
    wine.git("remote", "add", "origin", "https://ada:s3cret@host/o/r.git")
    assert sources.resolve("wine").repo_url == "https://host/o/r.git"


def test_damaged_index_of_the_cache_is_made_anew(sources: Sources, wine: Repository) -> None:
    wine.write({"new.py": "new"})
    source = sources.resolve("wine")
    (source.repository / "index-top").write_bytes(b"garbage")
    assert sources.resolve("wine").tree == source.tree


def test_lock_left_by_a_killed_git_does_no_harm(sources: Sources, wine: Repository) -> None:
    source = sources.resolve("wine")
    (source.repository / "index-top.lock").touch()
    wine.write({"new.py": "new"})
    assert sources.resolve("wine").is_dirty
