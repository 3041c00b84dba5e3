"""Writes a recorded run as a Provenance Run Crate.

Source: RO-Crate 1.1; Workflow RO-Crate 1.0; Process, Workflow and Provenance Run Crate 0.5.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from flowrun.plan.draw import Json
from flowrun.proof.canonical import JsonObject, clean
from flowrun.proof.contents import RunFiles
from flowrun.proof.crate.actions import Actions, iso_time
from flowrun.proof.crate.data import CrateData
from flowrun.proof.crate.graph import METADATA, Graph, local_id, ref, refs
from flowrun.proof.crate.target import CrateTarget, open_target
from flowrun.proof.crate.workflow import FORMAL_PARAMETER, WORKFLOW_PROFILE, Workflow
from flowrun.proof.packages import packages_of
from flowrun.proof.record import environment_key, record_bytes
from flowrun.proof.recorded import RecordedEnv, RecordedRun

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_TERMS = {
    FORMAL_PARAMETER: ("FormalParameter", "1.0-RELEASE"),
    WORKFLOW_PROFILE: ("ComputationalWorkflow", "1.0-RELEASE"),
}
_README = """\
# {name}

Run `{run_id}` of entry point `{entry_point}`: {status}.

- code: {source}
- commit: {commit}

## Steps

{steps}
Each step that has files has a folder in `steps`, with its outputs and logs; `environments` holds
what they ran in. `record.json` is all that was recorded, `ro-crate-metadata.json` describes each
file.
"""
_SPDX = re.compile(r"[A-Za-z0-9.+-]+")


def write_crate(
    run: RecordedRun,
    files: RunFiles,
    place: Path,
    *,
    replace: bool = False,
    largest_bytes: int | None = None,
    license_name: str | None = None,
) -> None:
    """Write a run as a crate: a folder, or a zip file if `place` is called so.

    Args:
        run: the run.
        files: finds its artifacts; they are copied as streams.
        place: where it goes; it appears at the end, whole.
        replace: take the place of a crate that is there.
        largest_bytes: larger files are only described; -1: all of them; None: none.
        license_name: of what is in the crate: an SPDX id, or a URL.

    Raises:
        AlreadyExistsError: there is something at `place`.
        InvalidStateError: an output is not what was recorded of it.
    """
    with open_target(place, replace=replace) as target:
        _fill(run, files, target, largest_bytes, license_name)


def _fill(
    run: RecordedRun,
    files: RunFiles,
    target: CrateTarget,
    largest_bytes: int | None,
    license_name: str | None,
) -> None:
    graph = Graph()
    graph.add(
        METADATA,
        "CreativeWork",
        {
            "about": ref("./"),
            "conformsTo": refs(
                [
                    "https://w3id.org/ro/crate/1.1",
                    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
                ]
            ),
        },
    )
    graph.add("./", "Dataset", {"name": f"{run.name}: a run of {run.entry_point}"})
    data = CrateData(graph, target, files, largest_bytes)
    workflow = Workflow.of(graph, run, _put_project(run, data))
    workflow.add()
    actions = Actions(graph, run, workflow, data).add()
    _put_environments(run, data, workflow)
    data.put_trees(run)
    _put_readme(run, data)
    data.put_text("record.json", record_bytes(run).decode(), {"name": "the canonical record"})
    _add_root(run, graph, data, actions, workflow.file, license_name)
    document = json.dumps(clean(graph.document()), indent=1, ensure_ascii=False)
    target.put(METADATA, [document.encode() + b"\n"])


def _put_project(run: RecordedRun, data: CrateData) -> str:
    if run.diff is not None:
        data.put_text("source.diff", run.diff, {"description": "what was not committed yet"})
    if run.project_file is not None:
        return data.put_text("MLproject", run.project_file, {"encodingFormat": "application/yaml"})
    # A script of a project without a file: its command is all there is of a workflow.
    command = "\n".join(step.command or "" for step in run.steps)
    return data.put_text("command.sh", f"{command}\n", {"encodingFormat": "application/x-sh"})


def _put_readme(run: RecordedRun, data: CrateData) -> None:
    rows = "".join(f"- `{step.id}`: {step.status.value}\n" for step in run.steps)
    text = _README.format(
        name=run.name,
        run_id=run.run_id,
        entry_point=run.entry_point,
        status=run.status.value,
        source=run.source.repo_url or run.source.uri,
        commit=run.source.commit or run.source.tree or "not known",
        steps=rows,
    )
    facts: JsonObject = {"about": ref("./"), "encodingFormat": "text/markdown"}
    data.put_text("README.md", text, facts)


def _put_environments(run: RecordedRun, data: CrateData, workflow: Workflow) -> None:
    """Store each lock once; say which step had it, and what is in it."""
    stored: dict[str, tuple[str | None, list[str]]] = {}
    for step in run.steps:
        if step.env is None:
            continue
        key = environment_key(step.env)
        if key not in stored:
            stored[key] = _put_environment(key, step.env, data)
        lock, packages = stored[key]
        if lock is not None:
            data.graph.link(workflow.step_id(step), "buildInstructions", [lock])
        data.graph.link(workflow.tool_id(step), "softwareRequirements", packages)


def _put_environment(key: str, env: RecordedEnv, data: CrateData) -> tuple[str | None, list[str]]:
    packages = [
        data.graph.add(
            package.purl or local_id("package", package.name, package.version),
            "SoftwareApplication",
            {
                "name": package.name,
                "softwareVersion": package.version,
                "url": package.url or package.purl or f"urn:flowrun:tree:{package.sha256s[0]}",
                "sha256": package.sha256s[0] if len(package.sha256s) == 1 else None,
            },
        )
        for package in packages_of(env)
    ]
    if env.lock is None:
        return None, packages
    form = f"urn:flowrun:lock:{env.backend}"
    data.graph.add(form, "CreativeWork", {"name": f"flowrun's lock of a {env.backend} environment"})
    facts: JsonObject = {"conformsTo": ref(form), "encodingFormat": "text/plain"}
    return data.put_text(f"environments/{key[:16]}.lock", env.lock, facts), packages


def _add_root(
    run: RecordedRun,
    graph: Graph,
    data: CrateData,
    actions: list[str],
    workflow: str,
    license_name: str | None,
) -> None:
    for profile, (name, version) in {**PROFILES, **_TERMS}.items():
        graph.add(profile, "CreativeWork", {"name": name, "version": version})
    facts: JsonObject = {
        "description": f"Run {run.run_id}, recorded by flowrun {run.flowrun_version or ''}".strip(),
        "datePublished": iso_time(run.end_time_ms or run.start_time_ms),
        "license": _license(graph, license_name),
        "identifier": run.run_id,
        "author": ref(local_id("user", run.user)),
        "conformsTo": refs(PROFILES),
        "hasPart": refs(data.parts),
        "mainEntity": ref(workflow),
        "mentions": refs([*actions, local_id("organize", run.run_id)]),
    }
    graph.add("./", "Dataset", facts)


def _license(graph: Graph, name: str | None) -> Json:
    if name is None:
        facts: JsonObject = {
            "name": "not stated",
            "description": "Whoever made this crate named no license; ask the author.",
        }
        return ref(graph.add("#license", "CreativeWork", facts))
    is_spdx = _SPDX.fullmatch(name) is not None
    address = f"https://spdx.org/licenses/{name}" if is_spdx else name
    return ref(
        graph.add(address, "CreativeWork", {"name": name, "description": f"The license {name}"})
    )
