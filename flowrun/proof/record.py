"""The canonical record: one JSON document with all that is known of a run.

The same run gives the same bytes, whatever store it is read from and whenever: so it can be hashed,
signed and compared. Its form is in `record.schema.json`, published in docs/reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from flowrun.plan.draw import Json
from flowrun.proof.canonical import JsonObject, canonical_json, clean, json_number, known
from flowrun.proof.recorded import (
    RecordedContent,
    RecordedEnv,
    RecordedRun,
    RecordedSource,
    RecordedStep,
)

FORMAT = "flowrun-record/1"
_SHA256 = re.compile("[0-9a-f]{64}")
_NOT_OURS = ("flowrun.", "mlflow.")
"""Prefixes of tags that MLflow and flowrun set; what matters of them has a name in the record."""


def record_schema() -> str:
    """Give the JSON Schema of a record (draft 2020-12)."""
    return Path(__file__).with_name("record.schema.json").read_text(encoding="utf-8")


def record_bytes(run: RecordedRun) -> bytes:
    """Give the canonical record of a run, UTF-8, with a line break at its end."""
    return canonical_json(clean(record_of(run))) + b"\n"


def record_of(run: RecordedRun) -> JsonObject:
    """Give the record of a run as JSON values; facts that are not known are left out."""
    environments: JsonObject = {
        environment_key(step.env): _environment(step.env) for step in run.steps if step.env
    }
    record: JsonObject = {
        "format": FORMAT,
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status.value,
        "start_time_ms": run.start_time_ms,
        "end_time_ms": run.end_time_ms,
        "user": run.user,
        "host": run.host,
        "flowrun_version": run.flowrun_version,
        "entry_point": run.entry_point,
        "is_pipeline": run.is_pipeline,
        "source": _source(run.source),
        "project_file": run.project_file,
        "source_diff": run.diff,
        "params": dict(run.params),
        "tags": _own_tags(run.tags),
        "environments": environments,
        "steps": [_step(step, run.source) for step in run.steps],
        "outcomes": {
            name: known(
                {"status": each.status, "run_id": each.run_id, "detail": each.detail or None}
            )
            for name, each in run.outcomes.items()
        },
        "plan": dict(run.plan) if run.plan is not None else None,
    }
    return known(record)


def environment_key(env: RecordedEnv) -> str:
    """Give what names an environment in a record: the sha256 of its lock."""
    if _SHA256.fullmatch(env.key):
        return env.key
    return hashlib.sha256((env.lock or "").encode("utf-8", "replace")).hexdigest()


def _step(step: RecordedStep, common: RecordedSource) -> JsonObject:
    return known(
        {
            "id": step.id,
            "kind": step.kind,
            "run_id": step.run_id,
            "entry_point": step.entry_point,
            "status": step.status.value,
            "start_time_ms": step.start_time_ms,
            "end_time_ms": step.end_time_ms,
            "source": _source(step.source) if step.source != common else None,
            "params": dict(step.params),
            "command": step.command,
            "inputs": _contents(step.inputs),
            "outputs": _contents(step.outputs),
            "values": dict(step.values),
            "metrics": {name: json_number(value) for name, value in step.metrics.items()},
            "models": list(step.models),
            "environment": environment_key(step.env) if step.env else None,
            "image": step.env.image if step.env else None,
            "image_id": step.env.image_id if step.env else None,
            "exit_code": step.exit_code,
            "signal": step.signal,
            "error": step.error,
            "peak_memory_bytes": step.peak_memory_bytes,
            "cpu_time_s": step.cpu_time_s,
            "tags": _own_tags(step.tags),
        }
    )


def _source(source: RecordedSource) -> JsonObject:
    return known(
        {
            "uri": source.uri,
            "repo_url": source.repo_url,
            "commit": source.commit,
            "commit_time_s": source.commit_time_s,
            "tree": source.tree,
            "subdir": source.subdir or None,
            "ref": source.ref,
            "branch": source.branch,
            "is_dirty": source.is_dirty,
            "is_in_place": source.is_in_place,
        }
    )


def _environment(env: RecordedEnv) -> JsonObject:
    return known({"backend": env.backend, "lock": env.lock})


def _contents(contents: Mapping[str, RecordedContent]) -> JsonObject:
    return {
        name: {
            "uri": content.uri,
            "sha256": content.sha256,
            "size_bytes": json_number(content.size_bytes),
        }
        for name, content in contents.items()
    }


def _own_tags(tags: Mapping[str, str]) -> Json:
    return {k: v for k, v in tags.items() if not k.startswith(_NOT_OURS)}
