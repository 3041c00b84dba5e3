"""What requirement lines may say, and what is said of those that may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs.requirements import lines_of, read_requirements
from flowrun.errors import SpecError
from tests.envs.wheels import write_package

ALLOWED = (
    "a requirement line may be a requirement, or one of -r, -c, -e, --index-url, "
    "--extra-index-url, --find-links, --no-index, --no-binary, --only-binary"
)
RESERVED = (
    "'flowrun' on the package index is somebody else's package and is not installed. "
    "Remove this line: `import flowrun` works in every step without it."
)


@dataclass(frozen=True)
class Mistake:
    text: str
    message: str
    files: Mapping[str, str] | None = None


MISTAKES = {
    "an option that runs or writes something": Mistake(
        "numpy\n--target /etc\n", f"requirements.txt:2:1: '--target' is not allowed here; {ALLOWED}"
    ),
    "trusted hosts are the caller's to name": Mistake(
        "--trusted-host example.org",
        f"requirements.txt:1:1: '--trusted-host' is not allowed here; {ALLOWED}",
    ),
    "an option behind a requirement": Mistake(
        "numpy --config-settings x=y",
        "requirements.txt:1:1: 'numpy --config-settings x=y': the only option of a requirement is "
        "--hash",
    ),
    "a short option behind a requirement": Mistake(
        "numpy -t /etc",
        "requirements.txt:1:1: 'numpy -t /etc': the only option of a requirement is --hash",
    ),
    "an option in a continued line": Mistake(
        "numpy \\\n  --target /etc",
        "requirements.txt:1:1: 'numpy   --target /etc': the only option of a requirement is --hash",
    ),
    "an index address with an option behind it": Mistake(
        "--index-url https://example.org --target /etc",
        "requirements.txt:1:1: --index-url takes one value",
    ),
    "an index option without its address": Mistake(
        "--index-url", "requirements.txt:1:1: --index-url takes one value"
    ),
    "a value for an option that has none": Mistake(
        "--no-index=x", "requirements.txt:1:1: --no-index takes no value"
    ),
    "a file that is not there": Mistake(
        "-r more.txt", "requirements.txt:1:1: more.txt can't be read: No such file or directory."
    ),
    "a folder as a file": Mistake(
        "-r deps", "requirements.txt:1:1: deps can't be read: Is a directory.", {"deps/x": ""}
    ),
    "an included file from the network": Mistake(
        "-r https://example.org/r.txt",
        "requirements.txt:1:1: 'https://example.org/r.txt' is no file of the project; only files "
        "are included",
    ),
    "a mistake in an included file": Mistake(
        "-r deps/more.txt",
        f"deps/more.txt:3:1: '--pre' is not allowed here; {ALLOWED}",
        {"deps/more.txt": "# a comment \\\nsix\n--pre\n"},
    ),
    "a path that is not there": Mistake(
        "./pkg",
        "requirements.txt:1:1: './pkg' is neither a requirement nor a file or folder of the "
        "project",
    ),
    "a folder that is no package": Mistake(
        "-e ./src",
        "requirements.txt:1:1: './src' is no Python package: it has no pyproject.toml and no "
        "setup.py",
        {"src/x.py": ""},
    ),
    "a requirements file without -r": Mistake(
        "more.txt",
        "requirements.txt:1:1: 'more.txt' is no package; for a requirements file write -r",
        {"more.txt": ""},
    ),
    "a protocol that runs programs": Mistake(
        "x @ git+ext://sh -c id",
        "requirements.txt:1:1: 'x @ git+ext://sh -c id': the only option of a requirement is "
        "--hash",
    ),
    "a protocol that is not known": Mistake(
        "x @ git+ext://host/x",
        "requirements.txt:1:1: 'git+ext:' addresses are not allowed; use file, git+file, git+http, "
        "git+https, git+ssh, http, https",
    ),
    "somebody else's flowrun": Mistake("flowrun", f"requirements.txt:1:1: {RESERVED}"),
    "flowrun in another spelling": Mistake(
        "six\nFlowRun[all] >= 1; python_version > '3'", f"requirements.txt:2:1: {RESERVED}"
    ),
    "a character that hides something": Mistake(
        "six\x1b[2K", "requirements.txt:1:1: a requirement is one line of printable text"
    ),
    "nonsense": Mistake(
        "= = =",
        "requirements.txt:1:1: '= = =' is neither a requirement nor a file or folder of the "
        "project",
    ),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_with_its_place(case: Mistake, tmp_path: Path) -> None:
    for name, text in (case.files or {}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(SpecError) as error:
        read_requirements(lines_of(case.text, "requirements.txt"), tmp_path, tmp_path)
    assert str(error.value) == case.message


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("flowrun\n")
    with pytest.raises(SpecError) as error:
        read_requirements(lines_of("-r b.txt\n./no\n", "a.txt"), tmp_path, tmp_path)
    assert [problem.file for problem in error.value.problems] == ["a.txt", "b.txt"]


def test_yaml_text_of_two_lines_is_no_requirement(tmp_path: Path) -> None:
    mark = lines_of("x", "python_env.yaml")[0][1]
    with pytest.raises(SpecError, match="a requirement is one line of printable text"):
        read_requirements([("six\n--target /etc", mark)], tmp_path, tmp_path)


@dataclass(frozen=True)
class Line:
    text: str
    wanted: list[str]
    options: list[str]
    hashes: tuple[str, ...] = ()


LINES = {
    "comments and blanks": Line("# a\n\n  # b\nsix # c\n", ["six"], []),
    "short and long spellings": Line(
        "-i https://a/simple\n--extra-index-url=https://b\n-fhttps://c/x\n--no-index\n"
        "--only-binary :all:\nsix",
        ["six"],
        [
            "--index-url https://a/simple",
            "--extra-index-url https://b",
            "--find-links https://c/x",
            "--no-index",
            "--only-binary :all:",
        ],
    ),
    "hashes over several lines": Line(
        "six==1.0 \\\n  --hash=sha256:AB \\\n  --hash sha512:cd\n",
        ["six==1.0"],
        [],
        ("sha256:ab", "sha512:cd"),
    ),
    "addresses": Line(
        "x @ https://host/x-1.whl\nhttps://host/y.whl#sha256=ab\n"
        "z[a,b] @ git+https://${TOKEN}@host/z.git@v1 ; python_version > '3'",
        [
            "x @ https://host/x-1.whl",
            "https://host/y.whl#sha256=ab",
            "z[a,b] @ git+https://${TOKEN}@host/z.git@v1 ; python_version > '3'",
        ],
        [],
    ),
    "local paths with extras and markers": Line(
        "./pkg\n-e ./pkg[x]\nlocal[y] @ file:./pkg ; python_version > '3'",
        ["./pkg", "./pkg[x]", "file:./pkg[y] ; python_version > '3'"],
        [],
    ),
    "flowrun from an address of its own": Line(
        "flowrun @ https://host/flowrun-1-py3-none-any.whl",
        ["flowrun @ https://host/flowrun-1-py3-none-any.whl"],
        [],
    ),
    "what is so anyway": Line("--require-hashes\n--prefer-binary\nsix", ["six"], []),
    "a file that includes itself": Line("-r loop.txt\nsix", ["alpha", "six"], []),
}


@pytest.mark.parametrize("case", LINES.values(), ids=LINES)
def test_line_is_understood_as_pip_does(case: Line, tmp_path: Path) -> None:
    write_package(tmp_path / "pkg", "local", "")
    (tmp_path / "loop.txt").write_text("alpha\n-r loop.txt\n")
    found = read_requirements(lines_of(case.text, "requirements.txt"), tmp_path, tmp_path)
    assert [str(each) for each in found.wanted] == case.wanted
    assert [str(each) for each in found.options] == case.options
    assert sum((each.hashes for each in found.wanted), ()) == case.hashes
