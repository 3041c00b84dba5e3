"""Two trees, compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.errors import SourceError
from flowrun.sources.compare import FileChange, FileChangeKind, TreeChanges, compare_trees
from tests.sources.conftest import Sources
from tests.support.repositories import Repository

FILES: dict[str, str | bytes] = {
    "train.py": "a = 1\nb = 2\n",
    "gone.py": "x\n",
    "image.png": b"\x89PNG\0\1",
}


def test_files_are_added_removed_and_changed(sources: Sources, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "p", FILES)
    before = sources.resolve(repository.url)
    repository.git("rm", "--quiet", "gone.py")
    changed: dict[str, str | bytes] = {
        "train.py": "a = 1\nb = 3\nc = 4\n",
        "new é.py": "y\n",
        "image.png": b"\x89PNG\0\2",
    }
    repository.commit(changed)
    changes = compare_trees(before, sources.resolve(repository.url), sources.cache)
    assert set(changes.files) == {
        FileChange("train.py", FileChangeKind.CHANGED, 2, 1),
        FileChange("gone.py", FileChangeKind.REMOVED, 0, 1),
        FileChange("new é.py", FileChangeKind.ADDED, 1, 0),
        FileChange("image.png", FileChangeKind.CHANGED, None, None),
    }
    assert "-b = 2\n+b = 3\n+c = 4\n" in changes.patch
    assert not changes.is_cut


def test_trees_of_different_repositories_are_compared(sources: Sources, tmp_path: Path) -> None:
    """A commit of a server's, say, with a folder as it is on disk."""
    repository = Repository.make(tmp_path / "p", FILES)
    before = sources.resolve(repository.url)
    (tmp_path / "copy").mkdir()
    for name, content in FILES.items():
        (tmp_path / "copy" / name).write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
    (tmp_path / "copy" / "gone.py").write_text("z\n")
    after = sources.resolve(tmp_path / "copy")
    assert before.repository != after.repository
    changes = compare_trees(before, after, sources.cache)
    assert [file.path for file in changes.files] == ["gone.py"]


def test_the_same_tree_is_not_looked_at(sources: Sources, tmp_path: Path) -> None:
    source = sources.resolve(Repository.make(tmp_path / "p", FILES).url)
    missing = replace(source, repository=tmp_path / "nowhere")
    assert compare_trees(missing, missing, sources.cache) == TreeChanges()


def test_a_project_runs_no_program_by_being_compared(sources: Sources, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    repository = Repository.make(
        tmp_path / "p", {**FILES, ".gitattributes": "*.py diff=evil filter=evil\n"}
    )
    before = sources.resolve(repository.url)
    repository.git("config", "diff.evil.textconv", f"touch {touched};cat")
    repository.git("config", "diff.evil.command", f"touch {touched}")
    repository.commit({"train.py": "other\n"})
    changes = compare_trees(before, sources.resolve(repository.url), sources.cache)
    assert len(changes.files) == 1
    assert not touched.exists()


def test_trees_that_git_names_differently_are_told_apart(sources: Sources, tmp_path: Path) -> None:
    source = sources.resolve(Repository.make(tmp_path / "p", FILES).url)
    with pytest.raises(SourceError, match="SHA-256"):
        compare_trees(source, replace(source, tree="0" * 64), sources.cache)
    with pytest.raises(SourceError, match="can't be compared"):
        compare_trees(source, replace(source, tree="0" * 40), sources.cache)
