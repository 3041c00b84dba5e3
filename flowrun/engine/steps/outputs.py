"""Takes what a step's command left: declared outputs, a metrics file, small values."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from flowrun.engine.cache.digest import Digest, digest_of
from flowrun.engine.record.recorder import StepRecord
from flowrun.engine.services import Services
from flowrun.engine.values import OutputValue
from flowrun.errors import FlowrunError, InvalidValueError
from flowrun.models.mlmodel import read_mlmodel
from flowrun.spec.project import OutputSpec, OutputType
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import LoggedModel, ModelOutput, ModelStatus, Run
from flowrun.valueclass import valueclass

MAX_VALUES_BYTES = 1 << 20
MAX_METRICS_BYTES = 10 << 20


class OutputError(FlowrunError):
    """The command ended well, but what it left is not what was declared."""


@valueclass
class OutputTaker:
    """Takes the declared outputs of one finished command into the stores."""

    services: Services
    record: StepRecord
    directory: Path
    """The project's directory in the step's working directory."""

    def take(self, specs: Mapping[str, OutputSpec]) -> dict[str, OutputValue]:
        """Store every declared output; OutputError if one is missing or not what it should be."""
        return {name: self._take_one(spec) for name, spec in specs.items()}

    def _take_one(self, spec: OutputSpec) -> OutputValue:
        path = self._confined(spec)
        if path.exists():
            if spec.type is OutputType.MODEL:
                return self._take_model_directory(spec, path)
            return self._take_path(spec, path)
        if spec.type is OutputType.MODEL:
            logged = self._take_logged_model(spec)
            if logged is not None:
                return logged
            raise OutputError(
                f"the command ended well, but left no model: '{spec.path}' (output '{spec.name}') "
                "is neither a directory it wrote nor a model it logged"
            )
        raise OutputError(
            f"the command ended well, but did not write its declared output '{spec.name}': "
            f"there is no '{spec.path}' in the working directory"
        )

    def _confined(self, spec: OutputSpec) -> Path:
        path = self.directory / spec.path
        # Not Path.resolve: that raises for links in a circle.
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.directory)):
            raise OutputError(
                f"output '{spec.name}': '{spec.path}' leads out of the working directory"
            )
        return path

    def _take_path(self, spec: OutputSpec, path: Path) -> OutputValue:
        target = f"outputs/{spec.name}/{path.name}"
        try:
            _put(self.record.artifacts, path, target)
        except InvalidValueError as error:  # a pipe or device, or a link that leads out
            why = error.message.replace(f"{self.directory}/", "")
            raise OutputError(f"output '{spec.name}' can't be kept: {why}") from error
        if not self.record.artifacts.exists(target):
            # Artifacts are files: nothing would be there for the steps after this one.
            raise OutputError(
                f"the command ended well, but its declared output '{spec.name}' holds no file: "
                f"'{spec.path}' is an empty directory"
            )
        digest = digest_of(path)
        return OutputValue.of(f"runs:/{self.record.run_id}/{target}", digest, is_model=False)

    def _take_model_directory(self, spec: OutputSpec, path: Path) -> OutputValue:
        """Make a directory with an MLmodel file a logged model of the run."""
        if not path.is_dir():
            raise OutputError(
                f"output '{spec.name}' is of type model, but '{spec.path}' is a file; a model is a "
                "directory with an MLmodel file, as MLflow's save_model writes it"
            )
        mlmodel = read_mlmodel(path)
        store, info = self.services.tracking, self.record.run.info
        model = store.create_logged_model(
            info.experiment_id,
            name=spec.name,
            source_run_id=info.run_id,
            params=self.record.run.params,
            tags={"flowrun.flavors": ",".join(sorted(mlmodel.flavors))},
        )
        try:
            self.services.open_artifacts(model.artifact_uri).put_directory(path, "")
        except BaseException:
            store.finalize_logged_model(model.model_id, ModelStatus.FAILED)
            raise
        store.finalize_logged_model(model.model_id, ModelStatus.READY)
        store.log_outputs(info.run_id, [ModelOutput(model.model_id)])
        return OutputValue.of(f"models:/{model.model_id}", digest_of(path), is_model=True)

    def _take_logged_model(self, spec: OutputSpec) -> OutputValue | None:
        """Find the model that the step's own client logged under the declared path."""
        run = self.services.tracking.get_run(self.record.run_id)
        for model in self._logged_models(run):
            if model.name == spec.path:
                digest = self._digest_artifacts(model.artifact_uri, "")
                return OutputValue.of(f"models:/{model.model_id}", digest, is_model=True)
        if self.record.artifacts.exists(f"{spec.path}/MLmodel"):
            # A client before MLflow 3 puts the model among the run's own artifacts.
            digest = self._digest_artifacts(run.info.artifact_uri, spec.path)
            uri = f"runs:/{self.record.run_id}/{spec.path}"
            return OutputValue.of(uri, digest, is_model=True)
        return None

    def _logged_models(self, run: Run) -> list[LoggedModel]:
        store = self.services.tracking
        newest_first = reversed(run.model_outputs)
        return [store.get_logged_model(output.model_id) for output in newest_first]

    def _digest_artifacts(self, uri: str, path: str) -> Digest:
        artifacts = self.services.open_artifacts(uri)
        local = artifacts.local_path(path)
        if local is not None:
            return digest_of(local)
        target = self.directory / f".flowrun-{self.record.run_id}"
        artifacts.get(path, target)
        return digest_of(target)


def read_metrics(directory: Path, name: str) -> dict[str, float]:
    """Read a step's metrics file: a JSON object of numbers, nested ones as `outer.inner`."""
    path = directory / name
    if not path.exists():
        raise OutputError(f"the command ended well, but did not write its metrics file '{name}'")
    if not path.is_file():
        raise OutputError(f"metrics file '{name}' is no file")
    if path.stat().st_size > MAX_METRICS_BYTES:
        raise OutputError(f"metrics file '{name}' is larger than {MAX_METRICS_BYTES} bytes")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict):
            return dict(_flatten(data, "", name))
    except ValueError as error:
        raise OutputError(f"metrics file '{name}' is not JSON: {error}") from error
    except RecursionError:
        raise OutputError(f"metrics file '{name}' is nested too deeply") from None
    raise OutputError(f"metrics file '{name}' must hold an object of numbers")


def _flatten(data: dict[str, object], prefix: str, name: str) -> list[tuple[str, float]]:
    numbers: list[tuple[str, float]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            numbers += _flatten(value, f"{prefix}{key}.", name)
        elif isinstance(value, int | float):
            numbers.append((prefix + key, _float(value)))
        elif value is None:
            numbers.append((prefix + key, math.nan))
        else:
            raise OutputError(
                f"metrics file '{name}': '{prefix}{key}' is {json.dumps(value)[:80]}, not a number"
            )
    return numbers


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # Python's whole numbers have no end
        return math.inf if number > 0 else -math.inf


def read_values(path: Path) -> dict[str, str]:
    r"""Read what a command appended to `$FLOWRUN_OUTPUT`: `name=value` lines; a later one wins.

    A value that is a JSON text (`"two\nlines"`) is what it stands for, as `set_output` writes it.
    """
    if not path.is_file():
        return {}
    if path.stat().st_size > MAX_VALUES_BYTES:
        raise OutputError(
            f"$FLOWRUN_OUTPUT holds more than {MAX_VALUES_BYTES} bytes; "
            "declare files as outputs instead"
        )
    values: dict[str, str] = {}
    # Not splitlines: a value may hold a form feed, or one of Unicode's line ends.
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        name, equals, value = line.partition("=")
        if line.strip() == "":
            continue
        if "\0" in line:
            raise OutputError(f"$FLOWRUN_OUTPUT, line {number} holds a NUL byte")
        if not equals or not name.strip().isidentifier():
            raise OutputError(
                f"$FLOWRUN_OUTPUT, line {number}: '{line[:80]}' is not of the form name=value"
            )
        values[name.strip()] = _unquoted(value)
    return values


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        text = json.loads(value)
    except ValueError:
        return value
    return text if isinstance(text, str) else value


def _put(artifacts: Artifacts, path: Path, target: str) -> None:
    if path.is_dir():
        artifacts.put_directory(path, target)
    else:
        artifacts.put_file(path, target)
