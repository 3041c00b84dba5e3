"""The manifest of a step: what decides, and the words for what changed."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowrun.plan.fingerprint import (
    CodeFile,
    Difference,
    Kind,
    Label,
    Manifest,
    Reason,
    code_changes,
    code_digest,
    differences,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=400)
LABELS = st.builds(Label, st.sampled_from(Kind), st.text(st.characters(codec="utf-8"), max_size=20))
LINES = st.dictionaries(LABELS, TEXTS, max_size=8)


@given(LINES, st.randoms())
def test_the_order_of_declaration_is_irrelevant(lines: dict[Label, str], random: Random) -> None:
    shuffled = list(lines.items())
    random.shuffle(shuffled)
    assert Manifest.of(dict(shuffled)).fingerprint == Manifest.of(lines).fingerprint


@given(LINES, LINES)
def test_two_steps_have_one_fingerprint_only_if_all_their_lines_are_equal(
    one: dict[Label, str], other: dict[Label, str]
) -> None:
    same = Manifest.of(one).fingerprint == Manifest.of(other).fingerprint
    assert same == (one == other)


@given(LINES.filter(bool), st.data())
def test_each_changed_line_changes_the_fingerprint(
    lines: dict[Label, str], data: st.DataObject
) -> None:
    label = data.draw(st.sampled_from(sorted(lines)))
    value = data.draw(TEXTS)
    assume(value != lines[label])
    before, after = Manifest.of(lines), Manifest.of({**lines, label: value})
    assert before.fingerprint != after.fingerprint
    assert [each.label for each in differences(before, after)] == [label]


@given(LINES)
def test_a_manifest_is_what_its_text_says(lines: dict[Label, str]) -> None:
    manifest = Manifest.of(lines)
    assert Manifest.parse(manifest.text) == manifest


def test_a_text_that_was_cut_gives_the_lines_that_are_whole() -> None:
    manifest = Manifest.of({Label(Kind.COMMAND): "make", Label(Kind.PARAMETER, "lr"): "0.1"})
    assert Manifest.parse(manifest.text[:-3]) == Manifest.of({Label(Kind.COMMAND): "make"})


def test_another_versions_manifest_is_not_read() -> None:
    assert Manifest.parse("step/0\ncommand: make\n") is None


def test_the_text_begins_with_kind_and_version_and_is_ordered() -> None:
    lines = {Label(Kind.PARAMETER, "lr"): "0.1", Label(Kind.COMMAND): "a\nb: c"}
    assert Manifest.of(lines).text == "step/1\ncommand: a\\nb:\\sc\nparameter lr: 0.1\n"


WORDS = {
    "a parameter": (Label(Kind.PARAMETER, "lr"), "0.1", "0.2", "parameter lr: 0.1 -> 0.2"),
    "a new one": (Label(Kind.PARAMETER, "lr"), None, "0.2", "parameter lr is new: 0.2"),
    "one less": (Label(Kind.PARAMETER, "lr"), "0.1", None, "parameter lr is gone (it was 0.1)"),
    "the command": (Label(Kind.COMMAND), "make", "make all", "command changed"),
    "the code": (Label(Kind.CODE), "sha256:a", "sha256:b", "code changed"),
    "an environment": (Label(Kind.ENVIRONMENT), "local a", "local b", "environment changed"),
    "an input": (Label(Kind.INPUT, "data"), ".csv a", ".csv b", "input data changed"),
    "an output": (Label(Kind.OUTPUT, "m"), "a", "b", "declared output m: a -> b"),
    "a metrics file": (Label(Kind.METRICS), None, "m.json", "metrics file is new: m.json"),
    "a variable": (Label(Kind.VARIABLE, "SEED"), "1", "2", "variable SEED: 1 -> 2"),
    "a secret": (Label(Kind.SECRET, "TOKEN"), None, "", "secret TOKEN is new"),
}


@pytest.mark.parametrize(("label", "before", "after", "words"), WORDS.values(), ids=WORDS.keys())
def test_each_difference_is_told_in_words(
    label: Label, before: str | None, after: str | None, words: str
) -> None:
    assert str(Difference(label, before, after)) == words


def test_a_reason_names_every_difference_with_more_exact_words_where_there_are_some() -> None:
    code, lr = Label(Kind.CODE), Label(Kind.PARAMETER, "lr")
    before, after = Manifest.of({code: "a", lr: "0.1"}), Manifest.of({code: "b", lr: "0.2"})
    reason = Reason(differences(before, after), {code: "code: train.py changed"})
    assert str(reason) == "code: train.py changed; parameter lr: 0.1 -> 0.2"


def test_code_is_its_files_names_contents_and_modes() -> None:
    file = CodeFile("100644", "1" * 40, "train.py")
    others = [
        CodeFile("100755", "1" * 40, "train.py"),
        CodeFile("100644", "2" * 40, "train.py"),
        CodeFile("100644", "1" * 40, "prepare.py"),
    ]
    digests = {code_digest([each]) for each in (file, *others)}
    assert len(digests) == 4
    assert code_digest([file, others[2]]) == code_digest([others[2], file])


def test_changes_of_code_are_told_by_file() -> None:
    before = [CodeFile("100644", "1", "a.py"), CodeFile("100644", "1", "b.py")]
    after = [CodeFile("100644", "2", "a.py"), CodeFile("100644", "1", "c.py")]
    told = [str(change) for change in code_changes(before, after)]
    assert told == ["a.py changed", "b.py is gone", "c.py is new"]
