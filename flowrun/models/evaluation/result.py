"""What came of an evaluation, kept as MLflow keeps it: either tool reads what the other saved.

Source: MLflow 3.17, mlflow/models/evaluation/base.py and artifacts.py.
"""

from __future__ import annotations

import io
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flowrun.errors import InvalidValueError
from flowrun.models.arrays import Frame, is_array, is_frame
from flowrun.models.evaluation.comparing import Difference
from flowrun.models.evaluation.libraries import needed

TABLE = "eval_results_table"
_METRICS = "metrics.json"
_METADATA = "artifacts_metadata.json"
_FOLDER = "artifacts"
_CLASSES = {
    ".png": "ImageEvaluationArtifact",
    ".csv": "CsvEvaluationArtifact",
    ".json": "JsonEvaluationArtifact",
    ".npy": "NumpyEvaluationArtifact",
    ".txt": "TextEvaluationArtifact",
}
"""MLflow's classes of artifacts, by how their files end."""


class EvaluationArtifact:
    """A file that an evaluation made."""

    def __init__(self, uri: str, path: Path) -> None:
        """Take a file of this machine, and where it was stored."""
        self._uri = uri
        self._path = path
        self._bytes = path.read_bytes()

    @property
    def uri(self) -> str:
        """Where it lies among the run's artifacts; the file's path if there is no run."""
        return self._uri

    @property
    def content(self) -> object:
        """A frame of a table, what JSON says, an array, a text; of pictures their bytes."""
        suffix = self._path.suffix
        if suffix == ".json":
            return json.loads(self._bytes)
        if suffix == ".txt":
            return self._bytes.decode()
        if suffix == ".csv":
            frame: object = needed("pandas").read_csv(io.BytesIO(self._bytes))
            return frame
        if suffix == ".npy":
            array: object = needed("numpy").load(io.BytesIO(self._bytes), allow_pickle=False)
            return array
        return self._bytes

    def write(self, path: Path) -> None:
        """Write the file once more."""
        path.write_bytes(self._bytes)

    def __repr__(self) -> str:
        """Show where it lies."""
        return f"EvaluationArtifact(uri='{self.uri}')"


@dataclass(frozen=True)
class EvaluationResult:
    """The metrics of a model, and the files that say more."""

    metrics: Mapping[str, float]
    artifacts: Mapping[str, EvaluationArtifact]
    run_id: str | None = None
    differences: tuple[Difference, ...] = ()
    """From the baseline, metric by metric; empty without one."""
    verdict: str = ""
    """Of the metric that counts: `better`, `worse`, `undecided`; `first` where there is no
    champion; empty without a baseline."""
    failures: tuple[str, ...] = ()
    """What thresholds do not hold, each in a sentence."""
    baseline_metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, Frame]:
        """Those artifacts that are tables of rows."""
        found: dict[str, Frame] = {}
        for name, artifact in self.artifacts.items():
            if name.endswith(TABLE):
                own: Any = artifact.content
                frame: Frame = needed("pandas").DataFrame(own["data"], columns=own["columns"])
                found[name] = frame
            elif is_frame(content := _table(artifact)):
                found[name] = content
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write metrics and artifacts into a folder."""
        folder = Path(path)
        (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / _METRICS).write_text(json.dumps(dict(self.metrics)), encoding="utf-8")
        metadata = {}
        for name, artifact in self.artifacts.items():
            file = _file_name(artifact.uri)
            kind = _CLASSES.get(Path(file).suffix, "TextEvaluationArtifact")
            metadata[name] = {
                "uri": artifact.uri,
                "class_name": f"mlflow.models.evaluation.artifacts.{kind}",
            }
            artifact.write(folder / _FOLDER / file)
        (folder / _METADATA).write_text(json.dumps(metadata), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EvaluationResult:
        """Read a folder that `save` wrote, of either tool.

        Raises:
            InvalidValueError: it is none.
        """
        folder = Path(path)
        try:
            metrics = json.loads((folder / _METRICS).read_text(encoding="utf-8"))
            metadata = json.loads((folder / _METADATA).read_text(encoding="utf-8"))
            artifacts = {
                str(name): EvaluationArtifact(
                    str(meta["uri"]), folder / _FOLDER / _file_name(str(meta["uri"]))
                )
                for name, meta in metadata.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidValueError(
                f"{folder} holds no result of an evaluation: {error}"
            ) from error
        return cls(metrics, artifacts)


def write_content(content: Any, folder: Path, name: str) -> Path:  # noqa: ANN401 - of the user
    """Write what an evaluation made into a file that suits it, and give its path.

    Args:
        content: a frame, a figure, an array, a path of a file, a text, or what JSON can spell.
        folder: where.
        name: of the file, without its ending.

    Raises:
        InvalidValueError: it is nothing that can be written without pickling.
    """
    if is_frame(content):
        path = folder / f"{name}.csv"
        frame: Any = content
        frame.to_csv(path, index=False)
    elif is_array(content):
        path = folder / f"{name}.npy"
        needed("numpy").save(path, content, allow_pickle=False)
    elif hasattr(content, "savefig"):
        path = folder / f"{name}.png"
        content.savefig(path, format="png", bbox_inches="tight")
    elif isinstance(content, (str, os.PathLike)) and Path(content).is_file():
        path = folder / f"{name}{Path(content).suffix}"
        shutil.copyfile(content, path)
    elif isinstance(content, str):
        is_json = _is_json(content)
        path = folder / f"{name}{'.json' if is_json else '.txt'}"
        path.write_text(content, encoding="utf-8")
    else:
        path = folder / f"{name}.json"
        try:
            path.write_text(json.dumps(plain(content), indent=2), encoding="utf-8")
        except (TypeError, ValueError):
            raise InvalidValueError(
                f"artifact '{name}' is a {type(content).__name__}: it can be a frame, a figure, an "
                "array, a file, a text, or what JSON can spell"
            ) from None
    return path


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Give a value as JSON has it: numpy's as Python's, what is no number as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _table(artifact: EvaluationArtifact) -> object:
    return artifact.content if artifact.uri.endswith(".csv") else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _file_name(uri: str) -> str:
    return Path(unquote(urlsplit(uri).path)).name
