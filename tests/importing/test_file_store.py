"""A store in files: what is broken in it, what is hostile in it, what is in the way of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.importing.mlruns import OTHER_RUN, RUN, experiment, run_files, write, write_store
from tests.support.space import Done, Space
from tests.support.waiting import until


def runs_of(space: Space) -> dict[str, dict[str, Any]]:
    return {run["run_id"]: run for run in space.runs()}


def import_store(space: Space, *words: str, code: int = 0) -> Done:
    return space.flowrun("import", "mlflow", "mlruns", *words, code=code)


def table(done: Done) -> dict[str, tuple[str, str]]:
    rows = [line.rsplit(None, 2) for line in done.out.splitlines()[1:]]
    return {what.strip(): (there, here) for what, there, here in rows}


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_everything_is_counted_on_both_sides(space: Space) -> None:
    write_store(space.path / "mlruns")
    counted = table(import_store(space))
    assert counted["runs"] == ("2", "2")
    assert counted["metric points"] == ("6", "6")
    assert counted["artifact files"] == ("2", "2")


def test_an_import_again_adds_nothing(space: Space) -> None:
    write_store(space.path / "mlruns")
    first = import_store(space)
    before = space.runs()
    assert import_store(space).out == first.out
    assert space.runs() == before


def test_runs_made_since_are_added(space: Space) -> None:
    folder = write_store(space.path / "mlruns", runs=(RUN,))
    import_store(space)
    write(folder / "7" / OTHER_RUN, run_files(OTHER_RUN, folder))
    import_store(space)
    assert set(runs_of(space)) == {RUN, OTHER_RUN}


def test_the_source_is_not_changed(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    before = tree(folder)
    import_store(space)
    assert tree(folder) == before


def test_copied_artifacts_outlive_the_source(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    import_store(space)
    folder.rename(space.path / "gone")
    copies = list((space.home / "artifacts").rglob("weights.txt"))
    assert [path.read_text() for path in copies] == ["1 2 3", "1 2 3"]


def test_referenced_artifacts_stay_where_they_are(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    import_store(space, "--artifacts", "reference")
    assert runs_of(space)[RUN]["artifact_uri"] == f"file://{folder}/7/{RUN}/artifacts"
    assert list((space.home / "artifacts").rglob("weights.txt")) == []


def test_a_dry_run_tells_what_there_is_and_writes_nothing(space: Space) -> None:
    write_store(space.path / "mlruns")
    counted = table(import_store(space, "--dry-run"))
    assert counted["runs"] == ("2", "0")
    assert counted["metric points"] == ("6", "0")
    assert space.runs() == []


DAMAGE: dict[str, tuple[str, str, str]] = {
    "metric line that is no point": (
        "metrics/loss",
        "1700000000200 0.5 0\n1700000000201 half",
        "metrics/loss:2: '1700000000201 half' is no point of a metric: "
        "time, value and step are expected",
    ),
    "metric line with a time of more than 64 bits": (
        "metrics/loss",
        "99999999999999999999 0.5 0",
        "metrics/loss:1: '99999999999999999999 0.5 0' is no point of a metric",
    ),
    "time of more than 64 bits": (
        "meta.yaml",
        "start_time: 99999999999999999999\n",
        "99999999999999999999 is no whole number of 64 bits",
    ),
    "half a character": ("meta.yaml", 'run_name: "\\ud800"\n', "meta.yaml:1: not YAML"),
    "meta.yaml cut off": ("meta.yaml", "run_id: 'aaa", "meta.yaml:1: not YAML:"),
    "meta.yaml empty": ("meta.yaml", "", "meta.yaml: a mapping is expected, not nothing"),
    "meta.yaml with aliases": ("meta.yaml", "a: &x [1]\nb: *x\n", "YAML aliases are not allowed"),
    "meta.yaml with an object in it": (
        "meta.yaml",
        "!!python/object/apply:os.system ['touch /tmp/owned']",
        "meta.yaml:1: not YAML: could not determine a constructor",
    ),
    "status unknown": ("meta.yaml", "status: 99\n", "99 is no status of a run"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_run_that_cannot_be_read_is_named_and_left_out_whole(space: Space, name: str) -> None:
    file, content, message = DAMAGE[name]
    folder = write_store(space.path / "mlruns")
    write(folder / "7" / RUN, {file: content})
    done = import_store(space, code=1)
    assert message in done.err
    assert f"{folder}/7/{RUN}" in done.err
    assert list(runs_of(space)) == [OTHER_RUN]


def test_a_value_that_no_store_keeps_leaves_its_run_out(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    write(folder / "7" / RUN, {"params/alpha": "1\0 2"})
    done = import_store(space, code=1)
    assert f"run {RUN}: '1\\x00 2' holds a NUL character, which no store keeps" in done.err
    assert list(runs_of(space)) == [OTHER_RUN]


def test_bytes_that_are_no_text_are_named(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    (folder / "7" / RUN / "params" / "alpha").write_bytes(b"\xff\xfe")
    done = import_store(space, code=1)
    assert f"{folder}/7/{RUN}/params/alpha: not UTF-8 text (byte 0)" in done.err
    assert list(runs_of(space)) == [OTHER_RUN]


def test_a_mended_run_is_imported_the_next_time(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    write(folder / "7" / RUN, {"metrics/loss": "oops"})
    import_store(space, code=1)
    write(folder / "7" / RUN, {"metrics/loss": "1 2 3\n"})
    assert "metric points" in table(import_store(space))
    assert runs_of(space)[RUN]["metrics"] == {"loss": 2.0}


def test_an_experiment_that_cannot_be_read_is_left_out_with_its_runs(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    write(folder, {"7/meta.yaml": "name: [", "8/meta.yaml": experiment("8", "other", folder)})
    done = import_store(space, code=1)
    assert f"{folder}/7/meta.yaml:2: not YAML" in done.err
    names = [each["name"] for each in space.flowrun("experiments", "list", "--json").json()]
    assert sorted(names) == ["Default", "other"]


def link_a_param(run: Path, secret: Path) -> None:
    (run / "params" / "stolen").symlink_to(secret)


def link_a_folder_of_params(run: Path, secret: Path) -> None:
    (run / "params" / "deep").symlink_to(secret.parent)


def link_an_artifact(run: Path, secret: Path) -> None:
    (run / "artifacts" / "stolen").symlink_to(secret)


def name_another_folder(run: Path, secret: Path) -> None:
    write(run, {"meta.yaml": run_files(RUN, run, f"file://{secret.parent}")["meta.yaml"]})


def climb(run: Path, secret: Path) -> None:
    uri = f"file://{run}/artifacts/../../../../{secret.parent.name}"
    write(run, {"meta.yaml": run_files(RUN, run, uri)["meta.yaml"]})


def climb_encoded(run: Path, secret: Path) -> None:
    uri = f"file://{run}/artifacts/%2e%2e/%252e%252e/{secret.parent.name}"
    write(run, {"meta.yaml": run_files(RUN, run, uri)["meta.yaml"]})


HOSTILE: dict[str, Callable[[Path, Path], None]] = {
    "param that is a link": link_a_param,
    "folder of params that is a link": link_a_folder_of_params,
    "artifact that is a link": link_an_artifact,
    "artifacts in another folder": name_another_folder,
    "artifacts that climb": climb,
    "artifacts that climb in disguise": climb_encoded,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_outside_the_store_gets_into_the_import(space: Space, name: str) -> None:
    folder = write_store(space.path / "mlruns")
    secret = space.path / "private" / "key"
    write(space.path, {"private/key": "s3cret"})
    HOSTILE[name](folder / "7" / RUN, secret)
    import_store(space, code=1)
    shown = space.flowrun("runs", "list", "--json").out
    kept = [path.read_bytes() for path in (space.home / "artifacts").rglob("*") if path.is_file()]
    assert "s3cret" not in shown
    assert not any(b"s3cret" in content for content in kept)


def test_artifacts_elsewhere_are_copied_where_the_user_names_the_place(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    elsewhere = space.path / "elsewhere"
    write(elsewhere, {"f.txt": "mine"})
    write(folder / "7" / RUN, run_files(RUN, folder, f"file://{elsewhere}"))
    done = import_store(space, code=1)
    assert "name their folder by --artifacts-from" in done.err
    import_store(space, "--artifacts-from", str(elsewhere))
    assert [p.read_text() for p in (space.home / "artifacts").rglob("f.txt")] == ["mine"]


def test_another_experiment_of_the_same_name_is_in_the_way(space: Space) -> None:
    first, second = space.path / "mlruns", space.path / "second"
    write_store(first)
    write_store(second, runs=("c" * 32,))
    meta = (second / "7" / "meta.yaml").read_text()
    write(second, {"7/meta.yaml": meta.replace("1700000000000", "1800000000000")})
    import_store(space)
    done = space.flowrun("import", "mlflow", "second", code=2)
    assert done.err.splitlines()[-2:] == [
        "flowrun: experiment 'wine': there is another one of this name here already; "
        "nothing was imported",
        "Put something before the names by --prefix, or let experiments of the same name "
        "take the runs in by --merge.",
    ]
    assert "c" * 32 not in runs_of(space)


@pytest.mark.parametrize(
    ("words", "name"),
    {"prefix": (["--prefix", "b/"], "b/wine"), "merge": (["--merge"], "wine")}.values(),
)
def test_the_user_says_where_runs_of_a_taken_name_go(
    space: Space, words: list[str], name: str
) -> None:
    write_store(space.path / "mlruns")
    import_store(space)
    write_store(space.path / "second", runs=("c" * 32,))
    meta = (space.path / "second" / "7" / "meta.yaml").read_text()
    write(space.path / "second", {"7/meta.yaml": meta.replace("1700000000000", "1800000000000")})
    space.flowrun("import", "mlflow", "second", *words)
    found = space.flowrun("experiments", "list", "--json").json()
    ids = {each["name"]: each["id"] for each in found}
    assert runs_of(space)["c" * 32]["experiment_id"] == ids[name]


def test_a_killed_import_goes_on_and_ends_the_same(space: Space) -> None:
    ids = tuple(f"{number:032x}" for number in range(1, 401))
    folder = write_store(space.path / "mlruns", runs=ids)
    for run_id in ids:
        points = "".join(f"{1000 + step} {step / 7} {step}\n" for step in range(200))
        write(folder / "7" / run_id, {"metrics/loss": points})
    process = space.start("import", "mlflow", "mlruns")
    until(lambda: 0 < copied_files(space) < len(ids), what="the import is in its middle")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert copied_files(space) < len(ids)
    counted = table(import_store(space))
    assert counted["runs"] == ("400", "400")
    assert counted["metric points"] == ("80000", "80000")
    assert counted["artifact files"] == ("400", "400")


def copied_files(space: Space) -> int:
    return len(list((space.home / "artifacts").rglob("weights.txt")))


def test_a_change_of_what_was_imported_is_told(space: Space) -> None:
    folder = write_store(space.path / "mlruns")
    import_store(space)
    write(folder / "7" / RUN, {"metrics/loss": "1700000000200 0.75 0\n", "params/alpha": "0.2"})
    done = import_store(space, code=1)
    assert f"different: run {RUN}: the histories of its metrics differ" in done.err
    assert f"different: run {RUN}: its params differ" in done.err


WRONG: dict[str, tuple[str, str]] = {
    "no such folder": ("nowhere", "nowhere: there is no such directory"),
    "a folder of something else": (".", "this is no store of MLflow's: no experiment is in it"),
    "no such database": ("sqlite:///no.db", "no.db: there is no such file"),
    "another kind of store": (
        "databricks://x",
        "'databricks://x': flowrun can't import from there",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_store_is_told(space: Space, name: str) -> None:
    source, message = WRONG[name]
    assert message in space.flowrun("import", "mlflow", source, code=2).err
