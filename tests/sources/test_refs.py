from __future__ import annotations

from flowrun.sources.refs import FoundRef, RemoteRefs, read_refs

A, B, C = "a" * 40, "b" * 40, "c" * 40

LISTING = f"""ref: refs/heads/main\tHEAD
{A}\tHEAD
{A}\trefs/heads/main
{B}\trefs/heads/feature/x
{C}\trefs/tags/v1
{B}\trefs/tags/v1^{{}}
{C}\trefs/pull/3/head
"""


def test_annotated_tag_is_read_as_its_commit() -> None:
    assert read_refs(LISTING).find("v1") == FoundRef("refs/tags/v1", B)


def test_no_version_is_the_default_branch() -> None:
    refs = read_refs(LISTING)
    assert refs.find(None) == refs.find("HEAD") == FoundRef("refs/heads/main", A)


def test_detached_head_is_a_commit_without_branch() -> None:
    found = read_refs(f"{A}\tHEAD\n{B}\trefs/heads/main\n").find(None)
    assert found == FoundRef("HEAD", A)
    assert found.branch is None


def test_default_branch_that_is_not_there_is_none() -> None:
    assert read_refs(f"ref: refs/heads/main\tHEAD\n{B}\trefs/heads/other\n").find(None) is None


def test_pull_request_is_found_by_its_full_name_or_without_refs() -> None:
    refs = read_refs(LISTING)
    assert refs.find("refs/pull/3/head") == refs.find("pull/3/head")
    assert refs.find("3/head") is None


def test_only_branches_and_tags_are_suggested() -> None:
    assert read_refs(LISTING).nearest("feature/y") == ["feature/x"]
    assert read_refs(LISTING).nearest("pull/3/heat") == []


def test_empty_listing_has_no_refs() -> None:
    assert read_refs("") == RemoteRefs({}, None)
