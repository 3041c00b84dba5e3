from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flowrun.errors import SourceError, StoreError
from flowrun.sources.cache import SourceCache
from flowrun.sources.locks import locked
from flowrun.sources.source import Source
from tests.sources.conftest import Sources, read_files
from tests.support.repositories import VARIABLES, Repository
from tests.support.waiting import until


@pytest.fixture
def wine(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "wine", {"MLproject": "name: wine", "sub/a.py": "1"})


@pytest.fixture
def source(sources: Sources, wine: Repository) -> Source:
    return sources.resolve(wine.path)


def test_each_working_copy_is_fresh_and_writable(sources: Sources, source: Source) -> None:
    cache = sources.cache
    first = cache.write_out(source, sources.cwd / "deep" / "first")
    (first / "sub" / "a.py").write_text("changed")
    (first / "sub" / "new").write_text("new")
    second = cache.write_out(source, sources.cwd / "second")
    assert read_files(second) == {"MLproject": "name: wine", "sub/a.py": "1"}


def test_working_copy_holds_the_whole_tree_around_the_project(
    sources: Sources, wine: Repository
) -> None:
    into = sources.cwd / "out"
    assert sources.cache.write_out(sources.resolve(f"{wine.path}#sub"), into) == into / "sub"
    assert (into / "MLproject").exists()


def test_working_copy_needs_an_empty_place(sources: Sources, source: Source) -> None:
    into = sources.cwd / "out"
    into.mkdir()
    sources.cache.write_out(source, into)
    with pytest.raises(SourceError) as caught:
        sources.cache.write_out(source, into)
    assert str(caught.value) == f"{into}: can't write the project's files here, it is not empty"
    assert (into / "MLproject").exists()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda files: _overwrite(files / "MLproject", "name: evil"),
    "same length": lambda files: _overwrite(files / "MLproject", "name: EVIL"),
    "removed": lambda files: (files / "sub" / "a.py").unlink(),
    "added": lambda files: (files / "sub" / "sitecustomize.py").write_text("evil"),
    "replaced": lambda files: _replace(files / "MLproject"),
    "made executable": lambda files: (files / "MLproject").chmod(0o755),
    "manifest cut": lambda files: _overwrite(files.parent / "manifest.json", "{"),
    "manifest of other things": lambda files: _overwrite(files.parent / "manifest.json", "[]"),
}


def _overwrite(path: Path, text: str) -> None:
    path.chmod(0o600)
    path.write_text(text)


def _replace(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_shared_copy_is_made_anew(
    sources: Sources, source: Source, damage: Callable[[Path], object]
) -> None:
    files = sources.cache.project_dir(source)
    (files / "sub").chmod(0o700)
    files.chmod(0o700)
    damage(files)
    assert read_files(sources.cache.project_dir(source)) == {
        "MLproject": "name: wine",
        "sub/a.py": "1",
    }


def test_copy_damaged_while_in_use_never_reaches_a_step(sources: Sources, source: Source) -> None:
    cache = sources.cache
    _overwrite(cache.project_dir(source) / "MLproject", "name: evil")
    assert read_files(cache.write_out(source, sources.cwd / "out"))["MLproject"] == "name: wine"


def test_cache_that_vanishes_while_in_use_is_made_anew(sources: Sources, source: Source) -> None:
    cache = sources.cache
    cache.project_dir(source)
    subprocess.run(["rm", "-rf", sources.root / "trees"], check=True)
    assert len(read_files(cache.write_out(source, sources.cwd / "out"))) == 2


def test_shared_copy_is_read_only(sources: Sources, source: Source) -> None:
    files = sources.cache.project_dir(source)
    for path in (files, files / "sub", files / "MLproject", files / "sub" / "a.py"):
        assert path.stat().st_mode & 0o277 == 0


def test_cache_is_for_its_user_only(sources: Sources, source: Source) -> None:
    sources.root.chmod(0o755)
    sources.cache.project_dir(source)
    assert sources.root.stat().st_mode & 0o777 == 0o700


def test_cache_behind_a_link_is_refused(sources: Sources, wine: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    sources.root.symlink_to(tmp_path / "elsewhere")
    assert str(sources.error(wine.path)) == (
        f"{sources.root}: flowrun's cache must be a folder of your own\n"
        "Remove what is there, or let flowrun keep its cache elsewhere."
    )


def test_damaged_object_is_never_written_out(sources: Sources, wine: Repository) -> None:
    source = sources.resolve("wine")
    subprocess.run(["rm", "-rf", sources.root / "trees"], check=True)
    blob = wine.git("rev-parse", "HEAD:MLproject")
    other = wine.git("rev-parse", "HEAD:sub/a.py")
    objects = source.repository / "objects"
    target = objects / blob[:2] / blob[2:]
    target.chmod(0o600)
    target.write_bytes((objects / other[:2] / other[2:]).read_bytes())
    with pytest.raises(StoreError):
        sources.cache.project_dir(source)
    assert list((sources.root / "trees").iterdir()) == []


def test_name_that_leaves_the_tree_is_refused(sources: Sources, wine: Repository) -> None:
    blob = wine.git("hash-object", "-w", "--stdin", stdin="evil")
    inner = wine.git("mktree", stdin=f"100644 blob {blob}\thooks\n")
    tree = _raw_tree(wine, "40000 .GIT\0", inner)
    commit = wine.git("commit-tree", tree, "-m", "evil")
    wine.git("branch", "evil", commit)
    assert sources.error("wine", "evil").message == (
        "git: the tree has an entry '.GIT/hooks', which can't be a file of a project"
    )


def _raw_tree(repository: Repository, entry: str, oid: str) -> str:
    raw = repository.path / "raw"
    raw.write_bytes(entry.encode() + bytes.fromhex(oid))
    return repository.git("hash-object", "-w", "-t", "tree", "--literally", "raw")


def test_full_disk_leaves_nothing_half_made(sources: Sources, wine: Repository) -> None:
    wine.commit({"big.bin": os.urandom(200_000)})
    source = sources.resolve("wine")
    script = (
        "import resource, sys\n"
        "from tests.sources.test_cache import write_with_little_room\n"
        "write_with_little_room(sys.argv[1], sys.argv[2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(sources.root), str(wine.path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=dict(VARIABLES),
    )
    into = sources.root.parent / "out"
    assert done.stdout == (
        f"{into}: can't write the project's files: File too large\n"
        "Make room there, or let flowrun keep its cache elsewhere.\n"
    )
    assert not into.exists()
    assert sources.resolve("wine") == source


def write_with_little_room(root: str, uri: str) -> None:
    """Run in a process of its own: no file may grow beyond 100 kB."""
    sources = Sources(Path(root), Path("/"), VARIABLES)
    source = sources.resolve(uri)
    cache = sources.cache
    cache.project_dir(source)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        cache.write_out(source, Path(root).parent / "out")
    except StoreError as error:
        sys.stdout.write(f"{error}\n")


def test_many_threads_share_one_cache(sources: Sources, source: Source) -> None:
    cache = sources.cache
    with ThreadPoolExecutor(8) as pool:
        copies = list(
            pool.map(lambda n: cache.write_out(source, sources.cwd / f"out-{n}"), range(16))
        )
    assert all(read_files(copy)["sub/a.py"] == "1" for copy in copies)


RESOLVE = """
import sys
from pathlib import Path
from flowrun.sources.cache import SourceCache
from flowrun.sources.resolve import resolve
from tests.support.repositories import VARIABLES
cache = SourceCache(Path(sys.argv[1]), VARIABLES)
tell = lambda text: print(text, file=sys.stderr, flush=True)
source = resolve(sys.argv[2], sys.argv[3] or None, cache=cache, cwd=Path("/"), progress=tell)
cache.write_out(source, Path(sys.argv[4]))
print(source.tree)
"""


def _another_flowrun(root: Path, uri: str, version: str, into: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RESOLVE, str(root), uri, version, str(into)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=dict(VARIABLES),
    )


@pytest.mark.parametrize("version", ["", "main"])
def test_two_flowruns_at_once_both_succeed(
    sources: Sources, wine: Repository, version: str
) -> None:
    wine.commit({f"{n}.txt": str(n) for n in range(300)})
    running = [
        _another_flowrun(sources.root, str(wine.path), version, sources.cwd / f"out-{n}")
        for n in range(3)
    ]
    results = [(each.communicate(), each.returncode) for each in running]
    assert [code for _, code in results] == [0, 0, 0], results
    assert {out for (out, _), _ in results} == {wine.tree_of() + "\n"}
    assert all(len(read_files(sources.cwd / f"out-{n}")) == 302 for n in range(3))


def test_waiting_for_another_flowrun_is_told(sources: Sources, wine: Repository) -> None:
    repository = sources.resolve("wine").repository
    lock = sources.root / "locks" / f"{repository.name}.lock"
    with locked(lock, lambda: None):
        waiting = threading.Thread(target=sources.resolve, args=("wine",))
        waiting.start()
        line = f"waiting for another flowrun that works on {wine.path}"
        until(lambda: line in sources.told)
    waiting.join()


def test_killed_fetch_leaves_a_cache_that_works(sources: Sources, wine: Repository) -> None:
    wine.commit({f"{n}.bin": os.urandom(50_000) for n in range(100)})
    for _ in range(3):
        running = _another_flowrun(sources.root, str(wine.path), "main", sources.cwd / "never")
        assert running.stderr is not None
        next((line for line in running.stderr if "fetching" in line), "")
        running.kill()
        running.communicate()
    source = sources.resolve("wine", "main")
    assert source.tree == wine.tree_of()
    out = sources.cache.write_out(source, sources.cwd / "out")
    assert all((out / f"{n}.bin").stat().st_size == 50_000 for n in range(100))


def test_locks_and_packs_of_a_killed_git_are_swept(sources: Sources, wine: Repository) -> None:
    repository = sources.resolve("wine", "main").repository
    left = [
        repository / "shallow.lock",
        repository / "objects" / "pack" / "tmp_pack_x",
        repository / "refs" / "flowrun" / "incoming.lock",
    ]
    for path in left:
        path.touch()
    wine.commit({"more": "more"})
    assert sources.resolve("wine", "main").tree == wine.tree_of()
    assert not any(path.exists() for path in left)


def test_nothing_is_made_before_it_is_needed(sources: Sources) -> None:
    SourceCache(sources.root, sources.variables)
    assert not sources.root.exists()


def test_what_a_killed_flowrun_left_is_swept_after_a_day(
    sources: Sources, source: Source, wine: Repository
) -> None:
    old, young = sources.root / "tmp" / "old", sources.root / "tmp" / "young"
    for folder in (old, young):
        (folder / "files").mkdir(parents=True)
    (old / "files").chmod(0o500)
    os.utime(old, (0, 0))
    wine.write({"new.py": "new"})
    assert sources.resolve("wine").tree != source.tree
    assert (old.exists(), young.exists()) == (False, True)
