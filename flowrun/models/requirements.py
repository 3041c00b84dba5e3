"""What a model needs to be loaded: packages with exact versions, found without starting anything.

The modules that a model refers to are looked up among the installed packages. What those need in
turn comes with them.
"""

from __future__ import annotations

import ast
import io
import pickletools
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from flowrun.errors import InvalidValueError
from flowrun.models.block_yaml_writing import dump

_NAMES = {
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
}
"""Packages that are called otherwise than their module; the others are looked for."""
_OUR_OWN = frozenset({"flowrun", "mlflow"})
_SKOPS_MODULE = re.compile(r'"__module__": "([^"\\]+)"')
_REQUIREMENT_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def requirements_of(modules: Iterable[str]) -> list[str]:
    """Give `name==version` for each package that these modules belong to, by name.

    Args:
        modules: names with or without dots; those of Python itself, of the script and of a project
            are left out, since no package has them.
    """
    tops = {module.partition(".")[0] for module in modules}
    found = (_package_of(top) for top in tops - _OUR_OWN if not _is_pythons(top))
    return sorted({f"{name}=={_public(version)}" for name, version in filter(None, found)})


def python_version() -> str:
    """Give the version of this Python, with all three numbers."""
    return platform.python_version()


def installed_version(package: str) -> str | None:
    """Give the version of a package that is installed here, else None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def modules_of_pickle(content: bytes) -> set[str]:
    """Give the modules that a pickle refers to. Nothing of it is loaded or run."""
    modules: set[str] = set()
    texts: list[str | None] = []
    memo: dict[int, str | None] = {}
    top: str | None = None
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(content)):
            name = opcode.name
            if name == "MEMOIZE" or name.endswith("PUT"):
                memo[len(memo) if name == "MEMOIZE" else int(str(argument))] = top
                continue
            top = None
            if name == "GLOBAL":
                modules.add(str(argument).partition(" ")[0])
            elif name == "STACK_GLOBAL" and len(texts) > 1:
                modules.add(str(texts[-2]))
            elif name.endswith("GET"):
                top = memo.get(int(str(argument)))
                texts.append(top)
            elif isinstance(argument, str):
                top = argument
                texts.append(top)
    except (ValueError, UnicodeDecodeError):
        pass  # torn, or followed by something else: what was found so far is good
    if "subimport" in texts:
        # A function that is kept whole names the modules that it uses in texts.
        modules.update(text for text in texts if text in sys.modules)
    return modules


def modules_of_skops(path: Path) -> set[str]:
    """Give the modules that a file of skops refers to."""
    with zipfile.ZipFile(path) as archive:
        schema = archive.read("schema.json").decode()
    return set(_SKOPS_MODULE.findall(schema))  # as JSON it would take ten times as long


def modules_of_code(paths: Iterable[Path]) -> set[str]:
    """Give the modules that Python files, and those in folders, import."""
    modules: set[str] = set()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            try:
                tree = ast.parse(file.read_bytes(), str(file))
            except (SyntaxError, ValueError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    modules.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    modules.add(node.module)
    return modules


def write_environment(
    folder: Path,
    requirements: Sequence[str],
    constraints: Sequence[str] = (),
    conda_env: Mapping[str, object] | None = None,
) -> None:
    """Write requirements.txt, python_env.yaml and conda.yaml.

    Args:
        folder: the model's.
        requirements: lines for pip.
        constraints: lines that limit versions without asking for a package.
        conda_env: what conda.yaml says, instead of what follows from the requirements.
    """
    lines = list(requirements)
    if constraints:
        (folder / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
        lines.append("-c constraints.txt")
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    python = python_version()
    python_env = {
        "python": python,
        "build_dependencies": [_build(name) for name in ("pip", "setuptools", "wheel")],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(dump(python_env), encoding="utf-8")
    pip = installed_version("pip")
    conda = conda_env or {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", f"pip<={pip}" if pip else "pip", {"pip": lines}],
        "name": "mlflow-env",
    }
    (folder / "conda.yaml").write_text(dump(conda), encoding="utf-8")


def chosen_requirements(
    inferred: Sequence[str], given: str | Sequence[str] | None, extra: str | Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Give the lines for pip, and constraints.

    Args:
        inferred: what was found out.
        given: what the user says instead: lines, or the name of a file of them.
        extra: what the user says beside; it goes before what was found out.
    """
    if given is not None and extra is not None:
        raise InvalidValueError("pip_requirements and extra_pip_requirements exclude each other")
    lines, constraints = _read_lines(given if given is not None else extra)
    if given is not None:
        return lines, constraints
    named = {name.lower() for name in map(_name_of, lines) if name}
    kept = [line for line in inferred if (_name_of(line) or "").lower() not in named]
    return [*kept, *lines], constraints


def pip_lines_of_conda(conda_env: Mapping[str, object]) -> list[str]:
    """Give the lines for pip that a conda environment has."""
    dependencies = conda_env.get("dependencies")
    for item in dependencies if isinstance(dependencies, list) else []:
        if isinstance(item, dict) and isinstance(item.get("pip"), list):
            return [str(line) for line in item["pip"]]
    return []


def _read_lines(given: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    constraints: list[str] = []
    for line in _file_lines(given) if isinstance(given, str) else given or ():
        text = line.partition(" #")[0].strip()
        flag, _, name = text.partition(" ")
        if flag in ("-r", "--requirement"):
            more, limits = _read_lines(name.strip())
            lines += more
            constraints += limits
        elif flag in ("-c", "--constraint"):
            constraints += [limit.strip() for limit in _file_lines(name.strip()) if limit.strip()]
        elif text and not text.startswith("#"):
            lines.append(text)
    return lines, constraints


def _file_lines(name: str) -> list[str]:
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidValueError(f"requirements file '{name}': {error.strerror}") from error


def _name_of(line: str) -> str | None:
    match = _REQUIREMENT_NAME.match(line)
    return match[1].replace("_", "-") if match else None


def _build(package: str) -> str:
    version = installed_version(package)
    return f"{package}=={version}" if version else package


def _public(version: str) -> str:
    """Leave out what an index does not have: `2.3.0+cpu` is there as `2.3.0`."""
    return version.partition("+")[0]


def _is_pythons(module: str) -> bool:
    names = getattr(sys, "stdlib_module_names", None)  # from Python 3.10 on
    if names is not None:
        return module in names or module.startswith("_")
    return module in sys.builtin_module_names or module.startswith("_")


def _package_of(module: str) -> tuple[str, str] | None:
    """Give name and version of the package that brings a module."""
    for name in (_NAMES.get(module, module), module):
        version = installed_version(name)
        if version is not None:
            return name, version
    spec = getattr(sys.modules.get(module), "__spec__", None)
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
    if places and not any("-packages" in str(place) for place in places):
        return None  # of a project
    return _package_called_alike(module) or _packages_by_module().get(module)


def _package_called_alike(module: str) -> tuple[str, str] | None:
    """Look at packages whose names begin with the module's: `xgboost-cpu` brings `xgboost`."""
    for entry in sys.path:
        for info in sorted(Path(entry).glob(f"{module}*.dist-info")):
            package = metadata.PathDistribution(info)
            if module in _modules_of_package(package):
                return package.metadata["Name"], package.version
    return None


@lru_cache(maxsize=1)
def _packages_by_module() -> dict[str, tuple[str, str]]:
    """Read what all packages bring: takes long, for modules called otherwise than their package."""
    found: dict[str, tuple[str, str]] = {}
    for package in metadata.distributions():
        for module in _modules_of_package(package):
            found.setdefault(module, (package.metadata["Name"], package.version))
    return found


def _modules_of_package(package: metadata.Distribution) -> set[str]:
    tops = (package.read_text("top_level.txt") or "").split()
    if not tops:
        # The first word of each line is a file; `package.files` would read all of the rest too.
        record = (package.read_text("RECORD") or "").splitlines()
        tops = list({line.partition(",")[0].partition("/")[0] for line in record})
    return {top[:-3] if top.endswith(".py") else top for top in tops}
