"""From a URI to a plan: finds the project and every project it calls, and reads them.

Nothing of any project is executed here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.engine.request import ProjectCode
from flowrun.engine.steps.local_paths import local_path_of, scheme_of
from flowrun.errors import PlanError, SourceError
from flowrun.plan.build import LoadedProject, build_plan
from flowrun.plan.environments import AskedEnv, environments_of
from flowrun.plan.plan import Plan, SubProject
from flowrun.sources.cache import SourceCache
from flowrun.sources.resolve import resolve
from flowrun.sources.source import Source
from flowrun.sources.uri import joined
from flowrun.spec.load import find_project_file, load_project
from flowrun.spec.project import EntryPoint, Mark, Parameter, ParameterType, Project, ProjectCall
from flowrun.valueclass import valueclass

if TYPE_CHECKING:
    from flowrun.plan.sweep import Swept


@valueclass
class PlannedProject:
    """A plan with the code of every project in it."""

    plan: Plan
    projects: Mapping[str, ProjectCode]
    """By `PlannedStep.project`; '' is the project asked for."""
    shown_params: Mapping[str, str]
    """Parameters as given, where the plan's differ: paths were made absolute."""
    project_file: str | None
    """The text of the project file."""


Find = Callable[[str, str | None], Source]
"""A project's URI and version to its source."""


class Planner:
    """Plans one project."""

    def __init__(
        self,
        sources: SourceCache,
        cwd: Path,
        progress: Callable[[str], None] | None = None,
        find: Find | None = None,
    ) -> None:
        """Make it.

        Args:
            sources: keeps what is fetched.
            cwd: what a relative path starts from.
            progress: told what takes time.
            find: finds this project and those that it calls; None: where they are today.
        """
        self._sources = sources
        self._cwd = cwd
        self._find = find or (
            lambda uri, version: resolve(uri, version, cache=sources, cwd=cwd, progress=progress)
        )
        self._codes: dict[str, ProjectCode] = {}

    def plan(
        self,
        uri: str,
        entry_point: str,
        version: str | None,
        params: Mapping[str, str],
        marks: Mapping[str, Mark] | None = None,
        swept: Swept | None = None,
    ) -> PlannedProject:
        """Find the project and plan one of its entry points.

        Args:
            uri: as on the command line, as are the next three.
            entry_point: its name.
            version: branch, tag or commit.
            params: parameter values.
            marks: where those stand that come from a file.
            swept: plan a sweep over the entry point.
        """
        code, project = self._open(uri, version)
        self._codes[""] = code
        declared = project.entry_points.get(entry_point)
        absolute = self._absolute(declared, params, marks or {}) if declared else dict(params)
        loaded = self._loaded(project, code, None)
        plan = build_plan(loaded, entry_point, absolute, load=self._load, marks=marks, swept=swept)
        shown = {name: params[name] for name in params if absolute[name] != params[name]}
        return PlannedProject(plan, self._codes, shown, _file_text(code.directory))

    def environments(
        self, uri: str, version: str | None
    ) -> tuple[Mapping[str, ProjectCode], tuple[AskedEnv, ...]]:
        """Find a project and every environment that it may ask for.

        Returns:
            the code of all projects in it, by key as in `PlannedProject`, and the environments.
        """
        code, project = self._open(uri, version)
        self._codes[""] = code
        asked = environments_of(self._loaded(project, code, None), self._load)
        return self._codes, asked

    def project(self, uri: str, version: str | None) -> Project:
        """Find and read a project."""
        return self._open(uri, version)[1]

    def _open(self, uri: str, version: str | None) -> tuple[ProjectCode, Project]:
        return self._read(self._find(uri, version))

    def _read(self, source: Source) -> tuple[ProjectCode, Project]:
        code = ProjectCode(source, self._sources.project_dir(source))
        return code, load_project(code.directory)

    def _load(self, call: ProjectCall, caller: str) -> LoadedProject:
        """Find another project that a step calls."""
        own = self._codes[caller].source
        try:
            if call.uri.startswith("#") and call.version is None:
                code, project = self._read(_in_same_tree(own, call.uri))
            else:
                code, project = self._open(beside(own, call.uri), call.version)
        except SourceError as error:
            raise SourceError(f"{call.mark}: {error.message}", error.hint) from error
        source = code.source
        key = f"{source.uri}@{source.commit or source.tree}"
        self._codes.setdefault(key, code)
        sub = SubProject(key, source.uri, call.version, source.commit, source.tree)
        return self._loaded(project, code, sub)

    def _loaded(self, project: Project, code: ProjectCode, sub: SubProject | None) -> LoadedProject:
        return LoadedProject(project, sub, lambda name: (code.directory / name).is_file())

    def _absolute(
        self, entry_point: EntryPoint, params: Mapping[str, str], marks: Mapping[str, Mark]
    ) -> dict[str, str]:
        """Make relative `path` and `uri` parameters from the command line absolute."""
        given = dict(params)
        problems: list[str] = []
        for name, value in params.items():
            parameter = entry_point.parameters.get(name)
            if parameter is None or parameter.type not in {ParameterType.PATH, ParameterType.URI}:
                continue
            path = local_path_of(value)
            if path is None:
                continue
            path = self._cwd / path
            if not path.exists() and parameter.type is ParameterType.PATH:
                problems.append(_missing(entry_point, parameter, path, value, marks.get(name)))
            elif parameter.type is ParameterType.PATH:
                given[name] = str(path)
            elif not scheme_of(value):
                given[name] = path.as_uri()
        if problems:
            raise PlanError("\n".join(problems))
        return given


def beside(own: Source, uri: str) -> str:
    """Resolve `./x` and `../x` against the calling project's repository, as git its submodules.

    `../features.git` called from `https://host/team/train.git` is `https://host/team/features.git`;
    from a repository in a folder, with no remote, it is the folder beside it.
    """
    if not uri.startswith(("./", "../")):
        return uri
    address, hash_sign, subdir = uri.partition("#")
    return joined(own.repo_url or top_folder(own), address) + hash_sign + subdir


def top_folder(own: Source) -> str:
    """Give what a project's tree is the whole of: a folder, or a repository's address."""
    if own.directory is None:
        return own.uri.partition("#")[0]
    depth = len(Path(own.subdir).parts)
    return str(own.directory.parents[depth - 1] if depth else own.directory)


def _in_same_tree(own: Source, uri: str) -> Source:
    """Give another directory (`#dir`, from the top) of the tree the calling project is in."""
    subdir = posixpath.normpath(uri.removeprefix("#"))
    if subdir.startswith(("/", "../")) or subdir in {"..", "."}:
        raise SourceError(f"project '{uri}' must be a directory inside the tree of {own.uri}")
    base = own.uri.partition("#")[0]
    directory = Path(top_folder(own)) / subdir if own.directory else None
    return replace(own, uri=f"{base}#{subdir}", subdir=subdir, directory=directory)


def _missing(
    entry_point: EntryPoint, parameter: Parameter, path: Path, value: str, mark: Mark | None
) -> str:
    origin = f"{mark}" if mark else f"-P {parameter.name}={value}"
    return (
        f"parameter '{parameter.name}' of entry point '{entry_point.name}' is a path, but {path} "
        f"does not exist (from {origin})"
    )


def _file_text(directory: Path) -> str | None:
    path = find_project_file(directory)
    return path.read_text(encoding="utf-8", errors="replace") if path else None
