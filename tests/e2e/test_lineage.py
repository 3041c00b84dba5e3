"""Where a version comes from, which versions come from something, and copies elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from flowrun.stores import open_stores
from tests.support.genuine import Genuine
from tests.support.repositories import Repository
from tests.support.serving import TOKEN, serving
from tests.support.space import Space

LOCAL = ("--env-manager", "local")
RAW = "a,b\n1,2\n"
PROJECT = {
    "MLproject": """\
name: wine
entry_points:
  prepare:
    parameters: {raw: path}
    command: "sort {raw} > table.csv"
    outputs: {table: table.csv}
  train:
    parameters: {table: path, lr: {type: float, default: 0.5}}
    command: >-
      mkdir model && cp MLmodel model/ && cat {table} > model/weights &&
      echo {lr} >> model/weights && printf '{{"rmse": 0.7}}' > m.json
    metrics: m.json
    outputs: {model: {path: model, type: model}}
  main:
    parameters: {lr: {type: float, default: 0.5}}
    steps:
      prepare: {with: {raw: raw.csv}}
      train: {with: {table: "${{ steps.prepare.outputs.table }}", lr: "${{ params.lr }}"}}
      register: {register: {name: wine, model: "${{ steps.train.outputs.model }}"}}
""",
    "raw.csv": RAW,
    "MLmodel": """\
flavors: {python_function: {loader_module: demo, python_version: 3.11.7}}
model_uuid: 0123456789abcdef0123456789abcdef
utc_time_created: '2026-01-01 00:00:00.000000'
signature:
  inputs: >-
    [{"type": "double", "name": "a", "required": true},
    {"type": "string", "name": "x|y", "required": false}]
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: null
""",
}
SHA256 = hashlib.sha256(RAW.encode()).hexdigest()


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path, {"USER": "ada", "LOGNAME": "ada"})


@pytest.fixture
def repository(space: Space) -> Repository:
    """A project under git, of which two runs have made versions 1 and 2 of `wine`."""
    repository = space.repository("p", PROJECT)
    for lr in ("0.5", "0.7"):
        space.flowrun("run", "p", "-P", f"lr={lr}", *LOCAL)
    return repository


def _found(space: Space, *words: str) -> list[str]:
    return [row["version"] for row in space.flowrun("models", "lineage", *words, "--json").json()]


def test_a_version_and_what_it_came_from_lead_to_each_other(
    space: Space, repository: Repository
) -> None:
    commit = repository.head
    said = space.flowrun("models", "lineage", "wine/2", "--json").json()
    assert (said["commit"], said["is_dirty"], said["metrics"]) == (commit, False, {"rmse": 0.7})
    assert (said["pipeline"]["entry_point"], said["pipeline"]["params"]) == ("main", {"lr": "0.7"})
    train, prepare = said["steps"]
    assert (train["step"], train["params"]["lr"], train["data"]) == ("train", "0.7", [])
    assert (prepare["step"], prepare["data"]) == ("prepare", ["raw"])
    assert prepare["inputs"]["raw"]["sha256"] == SHA256
    assert train["env"]["lock"].startswith(f"runs:/{said['pipeline']['run_id']}/")
    shown = space.flowrun("models", "lineage", "wine/2").out
    assert f"input raw    sha256:{SHA256}" in shown

    assert _found(space, "--commit", commit) == ["wine/1", "wine/2"]
    assert _found(space, "--commit", commit[:8]) == ["wine/1", "wine/2"]
    assert _found(space, "--data", SHA256) == ["wine/1", "wine/2"]
    assert _found(space, "--data", "p/raw.csv") == ["wine/1", "wine/2"]
    own = train["inputs"]["table"]["sha256"]
    assert _found(space, "--data", f"sha256:{own}") == ["wine/1", "wine/2"]
    assert _found(space, "--commit", "0" * 40) == []


WRONG = {
    "no version": (("wine",), "'wine' names no version of a model; write NAME/3 or NAME@alias"),
    "nothing": ((), "give a version, --data or --commit"),
    "two": (("wine/1", "--commit", "0" * 40), "give a version, --data or --commit"),
    "no commit": (("--commit", "main"), "'main' is no commit: give 7 to 40 digits from 0 to f"),
    "no digest": (
        ("--data", "absent"),
        "'absent' is no sha256, which has 64 digits from 0 to f",
    ),
}


def test_what_leads_nowhere_is_refused(space: Space) -> None:
    told = {
        name: space.flowrun("models", "lineage", *words, code=2).err
        for name, (words, _) in WRONG.items()
    }
    assert told == {name: f"flowrun: {message}\n" for name, (_, message) in WRONG.items()}


def test_a_card_tells_what_a_version_is(space: Space, repository: Repository) -> None:
    space.flowrun("models", "describe", "wine", "Grades **red** wine.")
    space.flowrun("models", "describe", "wine/1", "Too *eager*.")
    space.flowrun("models", "promote", "wine/1", "--to", "Staging", "-m", "a|b <script>")
    assert space.flowrun("models", "describe", "wine/1").out == "Too *eager*.\n"
    card = space.flowrun("models", "card", "wine/1").out
    assert card.startswith("# wine 1\n")
    for expected in (
        "\n## Intended use\n\nGrades **red** wine.\n",
        "\n## About this version\n\nToo *eager*.\n",
        "| input | a | double |  |\n| input | x\\|y | string | optional |\n",
        "| output |  | float64 tensor \\[-1\\] |  |\n",
        "| rmse | 0.7 |\n",
        f"| commit | `{repository.head}` |\n",
        f"| prepare | `{space.run_of('prepare')['run_id']}` | local",
        "| None to Staging | ada | a\\|b \\<script\\> |\n",
        "model = mlflow.pyfunc.load_model('models:/wine/1')\n",
    ):
        assert expected in card
    space.flowrun("models", "card", "wine/1", "-o", "card.md", "--keep")
    assert space.read("card.md") == card
    with open_stores(f"sqlite:///{space.home / 'flowrun.db'}", space.home / "artifacts") as stores:
        version = stores.registry.get_model_version("wine", "1")
        place = stores.tracking.get_run(version.run_id or "").info.artifact_uri
        with stores.open_artifacts(place).open("model-cards/wine-1.md") as file:
            assert file.read().decode() == card


def test_a_version_is_copied_with_its_files_to_another_store(
    space: Space, repository: Repository
) -> None:
    space.flowrun("models", "promote", "wine/1", "--alias", "champion")
    words = ("models", "copy", "wine@champion", "red", "--to-home", "other", "--aliases")
    told = space.flowrun(*words).out
    assert told.startswith("wine version 1 is now also red version 1 at sqlite:///")
    other = Space(space.path, {**space.variables, "FLOWRUN_HOME": str(space.path / "other")})
    copy = other.flowrun("models", "show", "red@champion", "--json").json()
    original = space.flowrun("models", "show", "wine/1", "--json").json()
    _assert_copied(copy, original, repository.head)
    with open_stores(
        f"sqlite:///{space.path / 'other' / 'flowrun.db'}", space.path / "other" / "artifacts"
    ) as stores:
        version = stores.registry.get_model_version("red", "1")
        with stores.open_artifacts(version.download_uri).open("weights") as file:
            assert file.read() == b"1,2\na,b\n0.5\n"


def _assert_copied(copy: Any, original: Any, commit: str) -> None:  # noqa: ANN401 - JSON
    assert copy["tags"]["flowrun.copied_from"].startswith("models:/wine/1 at ")
    assert copy["tags"]["flowrun.commit"] == commit
    sha256 = "flowrun.model.sha256"
    assert copy["tags"][sha256] == original["tags"][sha256]
    assert (copy["run_id"], copy["tags"]["flowrun.copied_run_id"]) == (None, original["run_id"])


@pytest.mark.parametrize("kind", ["flowrun", pytest.param("mlflow", marks=pytest.mark.slow)])
def test_a_version_is_copied_to_a_server(
    space: Space, repository: Repository, request: pytest.FixtureRequest, kind: str
) -> None:
    if kind == "mlflow":
        genuine: Genuine = request.getfixturevalue("genuine")
        genuine.empty()
        _copy_to(space, genuine.url, repository.head)
        return
    (space.path / "served").mkdir()
    with serving(space.path / "served") as served:
        space = Space(space.path, {**space.variables, "MLFLOW_TRACKING_TOKEN": TOKEN})
        _copy_to(space, served.url, repository.head)


def _copy_to(space: Space, url: str, commit: str) -> None:
    told = space.flowrun("models", "copy", "wine/1", "wine", "--to", url).out
    assert told == f"wine version 1 is now also wine version 1 at {url}\n"
    words = ("models", "show", "wine/1", "--json", "--tracking-uri", url)
    copy = space.flowrun(*words).json()
    _assert_copied(copy, space.flowrun("models", "show", "wine/1", "--json").json(), commit)


@pytest.mark.usefixtures("repository")
def test_files_that_have_changed_are_not_copied(space: Space) -> None:
    [weights] = [
        path
        for path in (space.home / "artifacts").rglob("weights")
        if path.read_text().endswith("0.5\n")
    ]
    weights.chmod(0o600)
    weights.write_text("something else")
    words = ("models", "copy", "wine/1", "wine", "--to-home", "other")
    assert "have changed since it was registered" in space.flowrun(*words, code=3).err
    other = Space(space.path, {"FLOWRUN_HOME": str(space.path / "other")})
    assert other.flowrun("models", "list", "--json").json() == []


@pytest.mark.usefixtures("repository")
def test_a_registry_is_kept_in_order_by_commands(space: Space) -> None:
    made = space.flowrun("models", "register", f"runs:/{space.run_of('train')['run_id']}/x", "red")
    assert made.out == "red version 1\n"
    assert space.flowrun("models", "copy", "wine/1", "red").out == (
        "wine version 1 is now also red version 2\n"
    )
    space.flowrun("models", "tag", "red/2", "team=a", "old=1")
    space.flowrun("models", "tag", "red/2", "--remove", "old")
    assert "team=a\n" in space.flowrun("models", "tag", "red/2").out
    found = space.flowrun("models", "search", "name = 'red' AND tags.team = 'a'", "--json").json()
    assert [each["version"] for each in found] == ["2"]
    space.flowrun("models", "promote", "red/2", "--alias", "best")
    space.flowrun("models", "unset-alias", "red", "best")
    told = space.flowrun("models", "delete", "red/1", code=2).err
    assert told == (
        "flowrun: to delete version red/1 (None) where nobody can be asked, give --yes\n"
    )
    space.flowrun("models", "delete", "red/1", "--yes")
    space.flowrun("models", "delete", "red", "--yes")
    assert [each["name"] for each in space.flowrun("models", "list", "--json").json()] == ["wine"]
