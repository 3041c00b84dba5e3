"""A run as an in-toto statement with SLSA provenance: its outputs, and what they were made from.

Source: in-toto Attestation Framework, Statement v1; SLSA, provenance v1. The statement is not
signed: whoever vouches for it signs it (`cosign attest-blob`, `gh attestation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from flowrun.errors import InvalidStateError, NotFoundError
from flowrun.proof.canonical import JsonObject, canonical_json, clean, known
from flowrun.proof.contents import Contents, RunFiles, check_unchanged, sha256_of
from flowrun.proof.packages import Package, PackageKind, packages_of
from flowrun.proof.record import environment_key
from flowrun.proof.recorded import RecordedContent, RecordedRun, RecordedSource
from flowrun.tracking.entities import RunStatus

if TYPE_CHECKING:
    from flowrun.plan.draw import Json

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:flowrun:run:1"
"""What `externalParameters` and the rest mean: docs/reference/exports.md."""


def statement_bytes(run: RecordedRun, files: RunFiles, builder_id: str | None = None) -> bytes:
    """Give the statement of a run as canonical JSON, with a line break at its end.

    Args and Raises: see `statement_of`.
    """
    return canonical_json(clean(statement_of(run, files, builder_id))) + b"\n"


def statement_of(run: RecordedRun, files: RunFiles, builder_id: str | None = None) -> JsonObject:
    """Give the statement of a run. Its outputs are read, to see that they are what was recorded.

    Args:
        run: one that is finished, wholly or in part.
        files: finds its outputs.
        builder_id: a URI for who ran it, whom others may trust; by default this names the machine.

    Raises:
        InvalidStateError: there is no output to speak of, or one was changed since.
        NotFoundError: an output is gone.
    """
    subjects = list(_subjects(run, files))
    if not subjects:
        raise InvalidStateError(
            f"run {run.run_id} has no outputs, so there is nothing to say where it comes from",
            "Declare `outputs:` in the MLproject file; `--format json` records a run without any.",
        )
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _external(run),
                "internalParameters": _internal(run),
                "resolvedDependencies": list(_dependencies(run)),
            },
            "runDetails": {
                "builder": {
                    "id": builder_id or f"urn:flowrun:host:{quote(run.host or 'unknown')}",
                    "version": {"flowrun": run.flowrun_version or "unknown"},
                },
                "metadata": _metadata(run),
                "byproducts": list(_byproducts(run, files)),
            },
        },
    }


def _subjects(run: RecordedRun, files: RunFiles) -> Iterator[Json]:
    for step in run.steps:
        if step.status is not RunStatus.FINISHED or step.kind != "command":
            continue  # the others hand on what commands have made
        for name, content in step.outputs.items():
            what = f"output '{name}' of step '{step.id}'"
            contents = files.of_content(content)
            if contents is None:
                raise NotFoundError(f"{what} is gone: nothing is stored at {content.uri}")
            yield from _files(f"{step.id}/{name}", what, content, contents)


def _files(prefix: str, what: str, content: RecordedContent, contents: Contents) -> list[Json]:
    digests = [sha256_of(file) for file in contents.files]
    check_unchanged(what, content, contents, digests)
    return [
        {"name": f"{prefix}/{file.name}", "digest": {"sha256": sha256}}
        for file, sha256 in zip(contents.files, digests, strict=True)
    ]


def _external(run: RecordedRun) -> JsonObject:
    """Give what the caller chose."""
    source = run.source
    asked: JsonObject = {"uri": source.uri}
    if source.ref:
        asked["ref"] = source.ref
    return {"source": asked, "entryPoint": run.entry_point, "parameters": dict(run.params)}


def _internal(run: RecordedRun) -> JsonObject:
    """Give what followed from that: which command each step was."""
    steps: JsonObject = {
        step.id: known(
            {
                "command": step.command,
                "environment": environment_key(step.env) if step.env else None,
                "parameters": dict(step.params),
            }
        )
        for step in run.steps
    }
    return known({"steps": steps, "host": run.host, "subdirectory": run.source.subdir or None})


def _dependencies(run: RecordedRun) -> Iterator[Json]:
    for source in dict.fromkeys([run.source, *(step.source for step in run.steps)]):
        yield from _code(source)
    made = {content.uri for step in run.steps for content in step.outputs.values()}
    inputs = {
        content: f"input '{name}' of step '{step.id}'"
        for step in reversed(run.steps)
        for name, content in step.inputs.items()
        if content.uri not in made
    }
    for content, name in reversed(inputs.items()):
        yield {
            "name": name,
            "uri": content.uri,
            "digest": {"sha256": content.sha256},
            "annotations": {"sizeBytes": content.size_bytes},
        }
    yield from _environments(run)


def _code(source: RecordedSource) -> Iterator[Json]:
    digest: JsonObject = known({"gitCommit": source.commit, "gitTree": source.tree})
    if not digest:
        return
    address = source.repo_url or source.uri.partition("#")[0]
    uri = f"git+{address}" if source.commit and "://" in address else address
    found: JsonObject = {
        "uri": f"{uri}@{source.commit}" if source.commit else uri,
        "digest": digest,
    }
    if source.is_dirty:
        # The tree is what ran: the commit's own with these changes.
        found["annotations"] = {"uncommittedChanges": True}
    yield found


def _environments(run: RecordedRun) -> Iterator[Json]:
    environments = {environment_key(step.env): step.env for step in run.steps if step.env}
    packages: dict[Package, None] = {}
    for key, env in environments.items():
        yield {
            "name": f"environment lock ({env.backend})",
            "uri": f"urn:flowrun:lock:{key}",
            "digest": {"sha256": key},
        }
        packages |= dict.fromkeys(packages_of(env))
    for package in packages:
        yield _package(package)


def _package(package: Package) -> Json:
    found: JsonObject = known(
        {
            "name": f"{package.name} {package.version}",
            "uri": package.purl or package.name,
            "downloadLocation": package.url,
        }
    )
    if len(package.sha256s) == 1 and package.kind is not PackageKind.TREE:
        found["digest"] = {"sha256": package.sha256s[0]}
    elif package.sha256s:
        # One of these files was installed; which one depends on the machine.
        found["annotations"] = {"sha256OneOf": list(package.sha256s)}
    return found


def _metadata(run: RecordedRun) -> JsonObject:
    return known(
        {
            "invocationId": run.run_id,
            "startedOn": rfc3339(run.start_time_ms),
            "finishedOn": rfc3339(run.end_time_ms) if run.end_time_ms else None,
        }
    )


def _byproducts(run: RecordedRun, files: RunFiles) -> Iterator[Json]:
    for step in run.steps:
        for file in files.of_artifacts(step.artifact_uri):
            if file.name.startswith("logs/"):
                yield {
                    "name": f"{step.id}/{file.name}",
                    "uri": f"runs:/{step.run_id}/{file.name}",
                    "digest": {"sha256": sha256_of(file)},
                }


def rfc3339(time_ms: int) -> str:
    """Give a time as in-toto and schema.org write it: UTC, to the millisecond."""
    seconds, milliseconds = divmod(time_ms, 1000)
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"
