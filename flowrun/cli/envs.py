"""`flowrun envs`: the environments that are kept on this machine."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

import typer

from flowrun.api import processors
from flowrun.cli.ages import before
from flowrun.cli.tables import print_facts, print_rows, printable, time_text
from flowrun.engine.console import duration_text, size_text, steps_text
from flowrun.engine.prepare.build_all import project_envs
from flowrun.engine.prepare.locked import Asked
from flowrun.engine.services import Home
from flowrun.envs.base import Env
from flowrun.envs.collecting import Garbage, collect
from flowrun.envs.disk import DiskUse
from flowrun.envs.kept import KeptEnv, KeptEnvs
from flowrun.errors import EnvError, FlowrunError
from flowrun.proof.packages import Package, packages_of
from flowrun.proof.recorded import RecordedEnv
from flowrun.settings import Settings
from flowrun.stores import now_ms
from flowrun.surroundings import env_store, source_cache

app = typer.Typer(rich_markup_mode=None, add_completion=False)
envs = typer.Typer(
    help="List, show, build and remove environments.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(envs, name="envs")

AsJson = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]

SHOWN_DIGITS = 12


@envs.command("list")
def list_envs(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List environments, the one used last first."""
    kept = _kept(ctx.obj)
    found = kept.all()
    if as_json:
        print_rows((), [env_to_json(env) for env in found], as_json=True)
        return
    columns = ("key", "kind", "asked_by", "size", "last_used", "")
    print_rows(columns, [_row(env) for env in found], as_json=False)
    total = DiskUse()
    for env in found:
        total.add(env.disk)
    typer.echo(f"\n{_count(len(found), 'environment')}, {size_text(total.size_bytes)}")
    if kept.images_problem:
        typer.echo(f"Images are not shown: {kept.images_problem}", err=True)


@envs.command("show")
def show_env(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its key, or the first digits.")],
    as_json: AsJson = False,
) -> None:
    """Show one environment: what it is for, where it is, and its packages."""
    env = _kept(ctx.obj).find(key)
    packages = [{"name": each.name, "version": each.version} for each in _packages(env)]
    if as_json:
        typer.echo(json.dumps({**env_to_json(env), "packages": packages}, indent=2))
        return
    print_facts(
        [
            ("key", env.key),
            ("kind", env.facts.backend),
            ("image", env.facts.name),
            ("image id", env.facts.image_id),
            ("folder", env.folder),
            ("lock", env.lock if env.lock.exists() else None),
            ("asked by", "; ".join(env.facts.asked_by)),
            ("size", size_text(env.disk.size_bytes)),
            ("last used", time_text(env.last_used_ms)),
            ("in use", "yes" if env.is_in_use else None),
        ]
    )
    if packages:
        typer.echo()
        print_rows(("name", "version"), packages, as_json=False)


@envs.command("build")
def build_envs(
    ctx: typer.Context,
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="Git URL, directory or zip; #subdir inside it.")
    ],
    version: Annotated[
        str | None,
        typer.Option("--version", "-v", help="Branch, tag, commit or refs/... of a git URI."),
    ] = None,
    env_manager: Annotated[
        str | None, typer.Option(help="virtualenv, uv or conda; default: what the project says.")
    ] = None,
    locked: Annotated[
        bool,
        typer.Option("--locked", help="Refuse what is not as MLproject.lock says."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build all environments of a project, so that nothing has to be built when it runs.

    Those of all entry points, of all steps, and of the projects that they call. Nothing of the
    project is executed but the building of its own packages.
    """
    settings: Settings = ctx.obj
    with closing(env_store(settings)) as store:
        asked = Asked(uri, "", version, {}, env_manager, is_locked=locked)
        cache = source_cache(settings)
        project = project_envs(asked, cache, settings.cwd, store, _tell)
        project.check()
        console = _BuildConsole([steps_text(each.asked_by) for each in project.asked])
        project.build(console, at_once=processors())
    came = [console.came[place] for place in range(len(project.asked))]
    bugs = [each for each in came if isinstance(each, BaseException) and not _is_told(each)]
    if bugs:
        raise bugs[0]
    built = [each for each in came if not isinstance(each, BaseException)]
    if as_json:
        rows = [
            {"asked_by": list(each.asked_by), "kind": env.backend, "key": env.key}
            for each, env in zip(project.asked, came, strict=True)
            if not isinstance(env, BaseException)
        ]
        print_rows((), rows, as_json=True)
    if len(built) < len(came):
        number = _count(len(came), "environment")
        raise EnvError(f"{len(came) - len(built)} of {number} can't be built.")


@envs.command("gc")
def collect_envs(
    ctx: typer.Context,
    older_than: Annotated[
        str, typer.Option(help="What was not used for so long: 12h, 30d, 8w.")
    ] = "30d",
    everything: Annotated[
        bool, typer.Option("--all", help="All that no running flowrun uses, however new.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove environments that were not used for long, and what killed builds have left.

    Never one that a running flowrun uses. An image goes if flowrun has built it; one that was
    pulled stays. What is removed is built again when it is asked for.
    """
    settings: Settings = ctx.obj
    before_ms = sys.maxsize if everything else before(older_than, now_ms())
    kept = _kept(settings)
    garbage = collect(kept, Home(settings.home).envs, before_ms, is_dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(_garbage_to_json(garbage), indent=2))
        return
    if garbage.envs:
        print_rows(
            ("key", "kind", "asked_by", "size", "last_used"),
            [_row(env) for env in garbage.envs],
            as_json=False,
        )
        typer.echo()
    others = {"unfinished build": garbage.unfinished, "conda archive": garbage.archives}
    parts = [_count(len(garbage.envs), "environment")]
    parts += [_count(len(found), name) for name, found in others.items() if found]
    freed, verb = size_text(garbage.freed_bytes), "would be removed" if dry_run else "removed"
    typer.echo(f"{', '.join(parts)} {verb}: {freed} {'would come' if dry_run else 'came'} free.")
    if kept.images_problem:
        typer.echo(f"Images were passed over: {kept.images_problem}", err=True)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


class _BuildConsole:
    """A line for each thing that happens to an environment, with who asks for it in front."""

    def __init__(self, names: Sequence[str]) -> None:
        self.came: dict[int, Env | BaseException] = {}
        self._names = names
        self._lock = threading.Lock()
        self._began_s = time.monotonic()

    def progress(self, place: int, text: str) -> None:
        with self._lock:
            typer.echo(printable(f"{self._names[place]} | {text}"), err=True)

    def ended(self, place: int, came: Env | BaseException) -> None:
        self.came[place] = came
        if isinstance(came, BaseException):
            self.progress(place, f"FAILED - {came}")
        else:
            took = duration_text(int((time.monotonic() - self._began_s) * 1000))
            key = f"{came.backend} {came.key[:SHOWN_DIGITS]}".strip()
            self.progress(place, f"ready after {took}: {key}")


def _is_told(error: BaseException) -> bool:
    """Tell whether an error is one that flowrun raises on purpose."""
    return isinstance(error, FlowrunError)


def _packages(env: KeptEnv) -> tuple[Package, ...]:
    if not env.lock.exists():
        return ()
    lock = env.lock.read_text(encoding="utf-8")
    image = env.facts.name or None
    return packages_of(RecordedEnv(env.facts.backend, env.key, lock, image, env.facts.image_id))


def env_to_json(env: KeptEnv) -> dict[str, object]:
    """Give everything that is known of an environment."""
    return {
        "key": env.key,
        "kind": env.facts.backend,
        "asked_by": list(env.facts.asked_by),
        "folder": str(env.folder) if env.folder else None,
        "image": env.facts.name or None,
        "image_id": env.facts.image_id or None,
        "lock": str(env.lock) if env.lock.exists() else None,
        "size_bytes": env.disk.size_bytes,
        "last_used_ms": env.last_used_ms,
        "in_use": env.is_in_use,
        "made_by_flowrun": env.is_ours,
    }


def _garbage_to_json(garbage: Garbage) -> dict[str, object]:
    return {
        "environments": [env_to_json(env) for env in garbage.envs],
        "unfinished": [str(path) for path in garbage.unfinished],
        "archives": [str(path) for path in garbage.archives],
        "freed_bytes": garbage.freed_bytes,
    }


def _row(env: KeptEnv) -> dict[str, object]:
    askers = env.facts.asked_by
    more = f", and {len(askers) - 1} more" if askers[1:] else ""
    return {
        "key": env.key[:SHOWN_DIGITS],
        "kind": env.facts.backend,
        "asked_by": f"{askers[-1]}{more}" if askers else "",
        "size": size_text(env.disk.size_bytes),
        "last_used": time_text(env.last_used_ms),
        "": "in use" if env.is_in_use else "",
    }


def _kept(settings: Settings) -> KeptEnvs:
    return KeptEnvs(Home(settings.home).envs, settings.variables)


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"
