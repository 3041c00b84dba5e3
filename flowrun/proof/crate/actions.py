"""What was done: the run and its steps as actions, with what they took, made and used.

Source: Process, Workflow and Provenance Run Crate 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from flowrun.proof.canonical import JsonObject, json_number
from flowrun.proof.crate.data import CrateData
from flowrun.proof.crate.graph import Graph, local_id, ref, refs
from flowrun.proof.crate.workflow import Workflow
from flowrun.proof.recorded import RecordedEnv, RecordedRun, RecordedStep
from flowrun.tracking.entities import RunStatus
from flowrun.valueclass import valueclass

ENGINE = "#flowrun"
_COMPLETED = "http://schema.org/CompletedActionStatus"
_FAILED = "http://schema.org/FailedActionStatus"
_USED = {
    "peak_memory_bytes": ("peak memory", "https://qudt.org/vocab/unit/BYTE"),
    "cpu_time_s": ("processor time", "https://qudt.org/vocab/unit/SEC"),
}
"""Of what the whole process tree took: how it is called, and its unit."""


@valueclass
class Actions:
    """Adds the actions of a run to a crate."""

    graph: Graph
    run: RecordedRun
    workflow: Workflow
    data: CrateData

    def add(self) -> list[str]:
        """Add everything; give the ids of all actions but those that control others."""
        run = self.run
        agent = self.graph.add(local_id("user", run.user), "Person", {"name": run.user})
        facts: JsonObject = {
            "name": "flowrun",
            "softwareVersion": run.flowrun_version or "unknown",
            "url": f"pkg:generic/flowrun@{run.flowrun_version or 'unknown'}",
            "description": "the workflow engine",
        }
        self.graph.add(ENGINE, "SoftwareApplication", facts)
        tools = [self._add_step(number, step, agent) for number, step in enumerate(run.steps, 1)]
        if run.is_pipeline:
            self.data.put_rest(run)
        whole = self._add_run(agent)
        organized: JsonObject = {
            **_times(run.start_time_ms, run.end_time_ms),
            **_status(run.status, run.tags.get("flowrun.error")),
            "name": f"flowrun carries out {run.name}",
            "agent": ref(agent),
            "instrument": ref(ENGINE),
            "object": refs(self._control_id(step) for step in run.steps),
            "result": ref(whole),
        }
        self.graph.add(local_id("organize", run.run_id), "OrganizeAction", organized)
        return [whole, *tools]

    def _add_run(self, agent: str) -> str:
        run = self.run
        taken = [
            self._value(
                local_id("run", run.run_id, name), name, value, self.workflow.input_id(name)
            )
            for name, value in run.params.items()
        ]
        made: list[str] = []
        for step in run.steps:
            if step.kind == "command":
                for name, content in step.outputs.items():
                    entity = self.data.refer(content, name)
                    self._example(entity, self.workflow.output_id(step, name))
                    made.append(entity)
        facts: JsonObject = {
            **_times(run.start_time_ms, run.end_time_ms),
            **_status(run.status, run.tags.get("flowrun.error")),
            "name": run.name,
            "description": f"run {run.run_id} of entry point '{run.entry_point}'",
            "identifier": run.run_id,
            "agent": ref(agent),
            "instrument": ref(self.workflow.file),
            "object": refs(taken),
            "result": refs(made),
        }
        return self.graph.add(_run_id(run.run_id), _kind(made), facts)

    def _add_step(self, number: int, step: RecordedStep, agent: str) -> str:
        logs = self.data.put_step(number, step)
        taken = [*self._taken(step)]
        made = [*self._made(step)]
        facts: JsonObject = {
            **_times(step.start_time_ms, step.end_time_ms),
            **_status(step.status, step.error),
            "name": step.id,
            "description": step.command or f"step '{step.id}': {step.kind}",
            "identifier": step.run_id,
            "agent": ref(agent),
            "instrument": ref(self.workflow.tool_id(step)),
            "object": refs(taken),
            "result": refs(made),
            "subjectOf": refs(logs),
            "resourceUsage": refs(self._used(step)),
            "containerImage": self._image(step.env),
        }
        action = self.graph.add(_action_id(step, self.run), _kind(made), facts)
        control: JsonObject = {
            **_status(step.status, step.error),
            "name": f"flowrun runs {step.id}",
            "instrument": ref(self.workflow.step_id(step)),
            "object": ref(action),
        }
        self.graph.add(self._control_id(step), "ControlAction", control)
        return action

    def _taken(self, step: RecordedStep) -> Iterator[str]:
        for name, value in step.params.items():
            if name not in step.inputs:
                port = self.workflow.port_id(step, "input", name)
                yield self._value(local_id("step", step.run_id, "param", name), name, value, port)
        for name, content in step.inputs.items():
            entity = self.data.refer(content, name)
            self._example(entity, self.workflow.port_id(step, "input", name))
            yield entity

    def _made(self, step: RecordedStep) -> Iterator[str]:
        for name, content in step.outputs.items():
            entity = self.data.refer(content, name)
            self._example(entity, self.workflow.port_id(step, "output", name))
            yield entity
        uris = (f"models:/{model_id}" for model_id in step.models)
        yield from (self.data.by_uri[uri] for uri in uris if uri in self.data.by_uri)
        for name, number in step.metrics.items():
            place = local_id("step", step.run_id, "metric", name)
            value = json_number(number)
            facts: JsonObject = {"name": name, "value": value, "propertyID": "metric"}
            yield self.graph.add(place, "PropertyValue", facts)
        for name, text in step.values.items():
            facts = {"name": name, "value": text, "propertyID": "value"}
            yield self.graph.add(
                local_id("step", step.run_id, "value", name), "PropertyValue", facts
            )

    def _used(self, step: RecordedStep) -> Iterator[str]:
        found = {"peak_memory_bytes": step.peak_memory_bytes, "cpu_time_s": step.cpu_time_s}
        for key, amount in found.items():
            if amount is not None:
                name, unit = _USED[key]
                facts: JsonObject = {
                    "name": name,
                    "propertyID": f"urn:flowrun:usage:{key}",
                    "value": str(amount),
                    "unitCode": unit,
                }
                yield self.graph.add(
                    local_id("step", step.run_id, "used", key), "PropertyValue", facts
                )

    def _image(self, env: RecordedEnv | None) -> JsonObject | None:
        if env is None or env.image is None:
            return None
        repository, colon, tag = env.image.partition("@")[0].rpartition(":")
        is_tagged = bool(colon) and "/" not in tag
        name = repository if is_tagged else env.image.partition("@")[0]
        host = name.partition("/")[0]
        is_host = "/" in name and ("." in host or ":" in host or host == "localhost")
        facts: JsonObject = {
            "name": name.removeprefix(f"{host}/") if is_host else name,
            "additionalType": ref("https://w3id.org/ro/terms/workflow-run#DockerImage"),
            "registry": host if is_host else "docker.io",
            "tag": tag if is_tagged else None,
            "sha256": (env.image_id or "").removeprefix("sha256:"),
        }
        return ref(self.graph.add(local_id("image", env.image), "ContainerImage", facts))

    def _value(self, entity_id: str, name: str, value: str, port: str) -> str:
        facts: JsonObject = {"name": name, "value": value}
        entity = self.graph.add(entity_id, "PropertyValue", facts)
        self._example(entity, port)
        return entity

    def _example(self, entity: str, port: str) -> None:
        self.graph.link(entity, "exampleOfWork", [port])
        self.graph.link(port, "workExample", [entity])
        if self.graph.is_a(entity, "Dataset"):
            self.graph.add(port, "FormalParameter", {"additionalType": "Dataset"})

    def _control_id(self, step: RecordedStep) -> str:
        return local_id("control", step.run_id)


def _run_id(run_id: str) -> str:
    return local_id("run", run_id)


def _action_id(step: RecordedStep, run: RecordedRun) -> str:
    # A single command is one run, which is there as a workflow already.
    return local_id("step", step.run_id) if run.is_pipeline else local_id("command", step.run_id)


def _kind(made: list[str]) -> str:
    """Give the type of an action: one that made nothing has only been carried out."""
    return "CreateAction" if made else "ActivateAction"


def _status(status: RunStatus, error: str | None) -> JsonObject:
    match status:
        case RunStatus.FINISHED:
            return {"actionStatus": _COMPLETED}
        case RunStatus.FAILED | RunStatus.KILLED:
            return {"actionStatus": _FAILED, "error": error or status.value}
        case _:
            return {}


def _times(start_ms: int, end_ms: int | None) -> JsonObject:
    return {
        "startTime": iso_time(start_ms),
        "endTime": iso_time(end_ms) if end_ms is not None else None,
    }


def iso_time(time_ms: int) -> str:
    """Give a time as the profiles want it: ISO 8601 with an offset, to the millisecond."""
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}+00:00"
