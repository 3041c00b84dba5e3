"""What was to be done: the project file as a workflow, its entry points as tools, its steps.

Source: Provenance Run Crate 0.5, "Requirements": ComputationalWorkflow, HowToStep, FormalParameter,
ParameterConnection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from flowrun.errors import SpecError
from flowrun.plan.draw import Json
from flowrun.proof.canonical import JsonObject
from flowrun.proof.crate.graph import Graph, local_id, ref, refs
from flowrun.proof.reading import planned_steps
from flowrun.proof.recorded import RecordedRun, RecordedSource, RecordedStep
from flowrun.spec.parse import parse_project
from flowrun.spec.project import EntryPoint, ParameterType
from flowrun.valueclass import valueclass

FORMAL_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
LANGUAGE = "#mlproject"
_TYPES = {
    ParameterType.FLOAT: "Float",
    ParameterType.INT: "Integer",
    ParameterType.BOOL: "Boolean",
    ParameterType.URI: "URL",
}
_WHOLE_PARAM = re.compile(r"\$\{\{\s*params\.(\w+)\s*\}\}")


@valueclass
class Workflow:
    """Adds the workflow of a run to a crate; ids of its parts follow from their names."""

    graph: Graph
    run: RecordedRun
    file: str
    """Id of the project file, which is the workflow."""
    declared: Mapping[str, EntryPoint]
    """The entry points that the file declares."""
    planned: Mapping[str, Json]
    """The arguments of each planned step, as they are written."""

    @classmethod
    def of(cls, graph: Graph, run: RecordedRun, file: str) -> Workflow:
        """Make one of what the run has recorded of its project and plan."""
        planned = {str(each.get("id")): each.get("arguments") for each in planned_steps(run.plan)}
        return cls(graph, run, file, _declared(run.project_file), planned)

    def add(self) -> None:
        """Add it, with its tools, steps and parameters; actions come afterwards."""
        run = self.run
        inputs = [
            self._parameter(self.input_id(name), name, self._type(run.entry_point, name))
            for name in run.params
        ]
        outputs = [
            self._parameter(self.output_id(step, name), f"{step.id}: {name}", "File")
            for step in _makers(run)
            for name in step.outputs
        ]
        facts: JsonObject = {
            "name": run.name if run.project_file is None else f"MLproject: {run.entry_point}",
            "conformsTo": ref(WORKFLOW_PROFILE),
            "programmingLanguage": ref(LANGUAGE),
            "url": address_of(run.source),
            "version": run.source.commit or run.source.tree,
            "input": refs(inputs),
            "output": refs(outputs),
            "hasPart": refs(self.tool_id(step) for step in run.steps),
            "step": refs(self.step_id(step) for step in run.steps),
        }
        types = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
        self.graph.add(self.file, [*types], facts | {"@type": [*types]})
        self._add_language()
        for position, step in enumerate(run.steps, start=1):
            self._add_tool(step)
            self._add_step(step, position)
        self._connect()

    def input_id(self, name: str) -> str:
        """The id of a parameter of the whole run."""
        return local_id("input", name)

    def output_id(self, step: RecordedStep, name: str) -> str:
        """The id of an output of a step, as one of the whole run."""
        return local_id("output", step.id, name)

    def step_id(self, step: RecordedStep) -> str:
        """The id of a step as it was planned."""
        return local_id("step", step.id)

    def tool_id(self, step: RecordedStep) -> str:
        """The id of what a step calls: steps of one entry point share it."""
        own = step.source if step.source != self.run.source else None
        place = [own.tree or own.uri] if own else []
        return local_id(
            "tool", *place, *([] if step.kind == "command" else [step.kind]), name_of(step)
        )

    def port_id(self, step: RecordedStep, direction: str, name: str) -> str:
        """The id of an input or output of a tool."""
        return f"{self.tool_id(step)}/{local_id(direction, name)[1:]}"

    def _add_language(self) -> None:
        facts: JsonObject = {
            "name": "MLproject",
            "url": "https://mlflow.org/docs/latest/ml/projects/",
            "description": "MLflow's project file, with flowrun's steps",
        }
        self.graph.add(LANGUAGE, "ComputerLanguage", facts)

    def _add_tool(self, step: RecordedStep) -> None:
        facts: JsonObject = {
            "name": name_of(step),
            "description": _DEEDS.get(step.kind, f"entry point '{name_of(step)}' of the project"),
            "softwareVersion": step.source.commit or step.source.tree or "unknown",
            "url": address_of(step.source),
        }
        tool = self.graph.add(self.tool_id(step), "SoftwareApplication", facts)
        inputs = [
            self._parameter(self.port_id(step, "input", name), name, self._input_type(step, name))
            for name in dict.fromkeys([*step.params, *step.inputs])
        ]
        outputs = [
            self._parameter(self.port_id(step, "output", name), name, "File")
            for name in step.outputs
        ]
        self.graph.link(tool, "input", inputs)
        self.graph.link(tool, "output", outputs)

    def _add_step(self, step: RecordedStep, position: int) -> None:
        facts: JsonObject = {
            "name": step.id,
            "position": str(position),
            "workExample": ref(self.tool_id(step)),
        }
        self.graph.add(self.step_id(step), "HowToStep", facts)

    def _connect(self) -> None:
        """Say which output went into which input, as it was recorded."""
        made = {
            content.uri: self.port_id(step, "output", name)
            for step in _makers(self.run)
            for name, content in step.outputs.items()
        }
        for step in self.run.steps:
            found = [
                (made[content.uri], self.port_id(step, "input", name))
                for name, content in step.inputs.items()
                if content.uri in made
            ]
            found += [
                (self.input_id(source), self.port_id(step, "input", name))
                for name, source in self._passed_on(step)
            ]
            self._link(self.step_id(step), found)
        ends = [
            (self.port_id(step, "output", name), self.output_id(step, name))
            for step in _makers(self.run)
            for name in step.outputs
        ]
        self._link(self.file, ends)

    def _link(self, owner: str, pairs: list[tuple[str, str]]) -> None:
        for source, target in pairs:
            connection = f"#connection/{source[1:]}/to/{target[1:]}"
            facts: JsonObject = {"sourceParameter": ref(source), "targetParameter": ref(target)}
            self.graph.add(connection, "ParameterConnection", facts)
            self.graph.link(owner, "connection", [connection])

    def _passed_on(self, step: RecordedStep) -> Iterator[tuple[str, str]]:
        """Give the arguments that are a parameter of the whole run, with its name."""
        arguments = self.planned.get(step.id)
        for name, raw in arguments.items() if isinstance(arguments, dict) else ():
            found = _WHOLE_PARAM.fullmatch(str(raw))
            is_there = name in step.params or name in step.inputs
            if found and is_there and found[1] in self.run.params:
                yield name, found[1]

    def _parameter(self, entity_id: str, name: str, kind: str) -> str:
        facts: JsonObject = {
            "name": name,
            "additionalType": kind,
            "conformsTo": ref(FORMAL_PARAMETER),
        }
        return self.graph.add(entity_id, "FormalParameter", facts)

    def _input_type(self, step: RecordedStep, name: str) -> str:
        return "File" if name in step.inputs else self._type(step.entry_point, name)

    def _type(self, entry_point: str, name: str) -> str:
        declared = self.declared.get(entry_point)
        found = declared.parameters.get(name) if declared else None
        return _TYPES.get(found.type, "Text") if found else "Text"


_DEEDS = {
    "select": "flowrun picks the best of some steps",
    "register": "flowrun makes a version of a registered model",
    "promote": "flowrun moves a model version to a stage or alias",
}


def name_of(step: RecordedStep) -> str:
    """Give what a step is an instance of: `train` for `train[lr=0.1]`."""
    return step.entry_point or step.id.partition("[")[0]


def address_of(source: RecordedSource) -> str:
    """Give where code is, for people."""
    return source.repo_url or source.uri


def _declared(project_file: str | None) -> Mapping[str, EntryPoint]:
    if project_file is None:
        return {}
    try:
        return parse_project(project_file, "MLproject").entry_points
    except SpecError:
        return {}  # of another version of the grammar


def _makers(run: RecordedRun) -> list[RecordedStep]:
    """Give the steps whose outputs are their own: the others hand on what these have made."""
    return [step for step in run.steps if step.kind == "command"]
