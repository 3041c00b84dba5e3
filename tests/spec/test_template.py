"""Where a placeholder stands in shell text."""

from __future__ import annotations

import pytest

from flowrun.spec.template import Quoting, placeholders

PLACES = {
    "word": ("a {p} b", Quoting.WORD),
    "within a word": ("a--x={p}.y", Quoting.WORD),
    "after closed quotes": ("'a' \"b\" {p}", Quoting.WORD),
    "after an escaped quote": (r"a\' {p}", Quoting.WORD),
    "after an apostrophe in double quotes": ('"it\'s" {p}', Quoting.WORD),
    "substitution": ("x=$(cat {p})", Quoting.WORD),
    "substitution in double quotes": ('"$(cat {p})"', Quoting.WORD),
    "after a substitution in double quotes": ('"$(cat a) {p}"', Quoting.DOUBLE),
    "subshell": ("(cd a; ls {p})", Quoting.WORD),
    "after a variable": ("${{HOME}}/{p}", Quoting.WORD),
    "after a comment": ("a # it's\nb {p}", Quoting.WORD),
    "number sign in a word": ("a#b {p}", Quoting.WORD),
    "number sign after a value": ("{p}#'x' {p}", Quoting.WORD),
    "here-text": ("cat <<< {p}", Quoting.WORD),
    "double quotes": ('a "b {p}"', Quoting.DOUBLE),
    "single quotes": ("a 'b {p}'", Quoting.UNSAFE),
    "ansi quotes": ("a $'b {p}'", Quoting.UNSAFE),
    "backticks": ("a `b {p}`", Quoting.UNSAFE),
    "variable's default": ("a ${{B:-{p}}}", Quoting.UNSAFE),
    "arithmetic": ("a $(( {p} + 1 ))", Quoting.UNSAFE),
    "comment": ("a # {p}", Quoting.UNSAFE),
    "here-document": ("cat <<E\n{p}\nE", Quoting.UNSAFE),
    "after a backslash": ("a \\{p}", Quoting.UNSAFE),
    "after a dollar sign": ("a ${p}", Quoting.UNSAFE),
}


@pytest.mark.parametrize(("template", "quoting"), PLACES.values(), ids=PLACES.keys())
def test_knows_how_the_shell_reads_the_place(template: str, quoting: Quoting) -> None:
    assert placeholders(template)[-1].quoting is quoting
