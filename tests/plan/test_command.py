"""Commands: every value arrives as it is, whatever it holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrun.errors import PlanError
from flowrun.plan.command import command_line, script_command
from flowrun.plan.plan import CommandAction
from flowrun.spec.project import Mark, Parameter, ParameterType

PRINT_ARGV = (
    (
        f"{sys.executable} -S -c 'import sys; "
        'sys.stdout.buffer.write("\\0".join(sys.argv[1:]).encode("utf-8", "surrogateescape"))\''
    )
    .replace("{", "{{")
    .replace("}", "}}")
)

_hostile = st.sampled_from(
    [
        *("$(id)", "`id`", "'; id; '", '"; id; "', "a\nb", "--x", "\\", "$HOME", "*", "~"),
        *("", " ", "!!", "{a}", "#", "'"),
    ]
)
_text = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
_values = st.lists(_hostile | _text, max_size=4).map("".join)


def _command(template: str, *declared: str) -> CommandAction:
    parameters = {
        name: Parameter(name, ParameterType.STRING, None, Mark("F", 1, 1)) for name in declared
    }
    return CommandAction(template, "main", parameters)


def _argv(command: str) -> list[str]:
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")


@settings(max_examples=25, deadline=None)
@given(a=_values, b=_values, more=_values)
def test_the_shell_gives_back_exactly_the_values(a: str, b: str, more: str) -> None:
    action = _command(f"{PRINT_ARGV} {{a}} --b={{b}} $(echo x)", "a", "b")
    assert _argv(command_line(action, {"a": a, "b": b, "more": more})) == [
        a,
        f"--b={b}",
        "x",
        "--more",
        more,
    ]


@settings(max_examples=25, deadline=None)
@given(value=_values)
def test_within_double_quotes_nothing_of_a_value_is_evaluated(value: str) -> None:
    outer = _command(f'{PRINT_ARGV} "<{{a}}>"', "a")
    inner = _command('bash -c "printf %s {a}"', "a")
    (seen,) = _argv(command_line(outer, {"a": value}))
    # As in MLflow the quotes stay, which is what makes a shell within the shell safe.
    assert seen[1:-1] == command_line(_command("{a}", "a"), {"a": value})
    assert _argv(command_line(inner, {"a": value})) == [value]


UNSAFE = [
    "x '{a}'",
    "x `y {a}`",
    "x <<E\n{a}\nE",
    "x # {a}",
    "x $(({a}))",
    "x ${{Y:-{a}}}",
    "x \\{a}",
]


def test_a_flag_stands_in_the_command_or_not() -> None:
    verbose = Parameter("v", ParameterType.BOOL, "no", Mark("F", 1, 1), flag="--verbose")
    action = CommandAction("train {v} {v:>12}", "main", {"v": verbose})
    assert command_line(action, {"v": "on"}) == "train --verbose    --verbose"
    assert command_line(action, {"v": "False"}) == "train  "


@pytest.mark.parametrize("template", UNSAFE)
def test_where_nothing_protects_a_value_only_harmless_ones_may_stand(template: str) -> None:
    action = _command(template, "a")
    assert "1.5e-3" in command_line(action, {"a": "1.5e-3"})
    with pytest.raises(PlanError) as caught:
        command_line(action, {"a": "'; id"})
    assert str(caught.value) == (
        "parameter 'a' has the value ''; id', but the command has {a} inside quotes or the like, "
        "where such a value can't be protected; let {a} stand by itself in the command"
    )


NO_OPTION = "can't become an option: letters, digits and _ - . : / only"
REFUSED = {
    "name that is shell": ({"x;id": "1"}, f"parameter 'x;id' {NO_OPTION}"),
    "name with a space": ({"x y": "1"}, f"parameter 'x y' {NO_OPTION}"),
    "NUL": ({"x": "a\0"}, "parameter 'x' holds a NUL character, which no command can take"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_become_a_word_is_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        command_line(_command("ls"), arguments)
    assert str(caught.value) == message


def test_a_declared_parameter_that_is_not_used_is_left_out() -> None:
    assert command_line(_command("ls {b}", "a", "b"), {"a": "1", "b": "2"}) == "ls 2"


def test_a_script_runs_with_its_interpreter_whatever_its_name(tmp_path: Path) -> None:
    for name, text in {
        "a {b} 'c'.py": "import sys; sys.stdout.write('\\0'.join(sys.argv[1:]))",
        '$(id) "x".sh': 'printf "%s\\0%s" "$1" "$2"',
    }.items():
        (tmp_path / name).write_text(text)
        template = script_command(name)
        assert template is not None
        command = command_line(_command(template), {"v": "1 2"})
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split("\0") == ["--v", "1 2"]


def test_only_scripts_are_scripts() -> None:
    assert [script_command(name) for name in ("main", "a.txt", "a.PY", "a.r")] == [None] * 4
