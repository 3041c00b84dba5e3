"""Pipelines of Hugging Face's transformers, with weights and all parts; nothing is downloaded.

Source: MLflow 3.17, mlflow/transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flowrun.errors import InvalidValueError, UnsupportedError
from flowrun.models.flavors.base import (
    Content,
    Predict,
    Settings,
    Written,
    damaged,
    library,
    refuse_pickle,
)
from flowrun.models.flavors.pipelines import SIGNATURES, Pipeline, kind_of, predictor
from flowrun.models.inner_paths import inside
from flowrun.models.loading import load_model_of
from flowrun.models.log import LogOptions, ModelInfo, log
from flowrun.models.saving import SaveOptions, check_options, save
from flowrun.tracking.light_session import is_pickle_allowed

if TYPE_CHECKING:
    import os
    from typing import Unpack

NAME = "transformers"
_MODEL = "model"
_COMPONENTS = "components"
_PARTS = {
    "feature_extractor": "FeatureExtractionMixin",
    "tokenizer": "PreTrainedTokenizerBase",
    "image_processor": "ImageProcessingMixin",
}
"""Parts of a pipeline that are kept beside its model, and the class that they are derived from."""
_DTYPE_SINCE = (4, 56)
"""From this version on, `torch_dtype` is called `dtype`."""


def save_model(
    transformers_model: Pipeline | Mapping[str, object],
    path: str | os.PathLike[str],
    processor: object = None,
    task: str | None = None,
    model_config: Mapping[str, object] | None = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Write a pipeline into a folder, in MLflow's format.

    Args:
        transformers_model: a pipeline, or the parts of one: `model`, `tokenizer`, ...
        path: the folder, new or empty.
        processor: kept beside it.
        task: of the pipeline that is made of parts, such as "text-classification".
        model_config: params of predictions, if none are given.
        options: see `SaveOptions`.
    """
    check_options(options, SaveOptions)
    save(_content(transformers_model, processor, task, model_config), path, options)


def log_model(
    transformers_model: Pipeline | Mapping[str, object],
    artifact_path: str | None = None,
    processor: object = None,
    task: str | None = None,
    model_config: Mapping[str, object] | None = None,
    **options: Unpack[LogOptions],
) -> ModelInfo:
    """Save a pipeline on the server, as one of the run in progress; see `save_model`."""
    return log(_content(transformers_model, processor, task, model_config), artifact_path, options)


def load_model(
    model_uri: str,
    dst_path: str | os.PathLike[str] | None = None,
    return_type: str = "pipeline",
) -> object:
    """Give a pipeline, or its parts; see `loading.load_model_of`.

    Args:
        model_uri: any of a model's URIs, or a path.
        dst_path: where its files are copied to.
        return_type: "pipeline", or "components": what a pipeline can be made of.
    """
    if return_type not in ("pipeline", "components"):
        raise InvalidValueError(f"return_type is 'pipeline' or 'components', not '{return_type}'")
    pipeline: Any = load_model_of(NAME, model_uri, dst_path)
    if return_type == "pipeline":
        return pipeline
    return {"task": pipeline.task, _MODEL: pipeline.model, **_parts(pipeline, None)}


class TransformersFlavor:
    """Loads them."""

    name = NAME
    loader_modules = frozenset({"mlflow.transformers"})

    def load(self, folder: Path, settings: Settings) -> object:
        """Give the pipeline."""
        version = settings.get("transformers_version")
        transformers = library("transformers", None, version)
        if not settings.get("model_binary") or settings.get("peft_adaptor"):
            raise UnsupportedError(
                f"{folder} does not hold all of its weights but names others: "
                f"{settings.get('source_model_name')}",
                "Keep them with the model: mlflow.transformers.persist_pretrained_model(URI)",
            )
        model = _class(transformers, settings.get("pipeline_model_type"), "PreTrainedModel")
        place = inside(folder, settings["model_binary"])
        if not any(place.glob("*.safetensors")):
            refuse_pickle(f"the pickle in {place}", "Save the model again: as safetensors.")
        named = settings.get("components")
        try:
            parts = {_MODEL: model.from_pretrained(str(place), **_how(transformers, settings))}
            for name in named if isinstance(named, list) else ():
                kind = _class(transformers, settings.get(f"{name}_type"), _PARTS.get(name))
                component = inside(folder, f"{_COMPONENTS}/{name}")
                parts[name] = kind.from_pretrained(str(component), **_LOCAL)
            pipeline: object = transformers.pipeline(task=str(settings.get("task")), **parts)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
            raise damaged(place, error, "transformers", version) from error
        return pipeline

    def predictor(self, model: object, pyfunc: Settings) -> Predict:
        """Give how it predicts: texts, or a table of labels and scores."""
        config = pyfunc.get("config")
        return predictor(model, config if isinstance(config, dict) else {})  # type: ignore[arg-type]


FLAVOR = TransformersFlavor()

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""A model's files can name code elsewhere; it is never fetched."""


def _content(
    given: Pipeline | Mapping[str, object],
    processor: object,
    task: str | None,
    config: Mapping[str, object] | None,
) -> Content:
    transformers = library("transformers")
    pipeline: Any = given
    if isinstance(given, Mapping):
        pipeline = transformers.pipeline(task=task, **given)
    if not isinstance(pipeline, transformers.Pipeline):
        raise InvalidValueError(
            f"a pipeline, or a mapping of its parts, is expected, not a {type(given).__name__}"
        )
    if hasattr(pipeline.model, "peft_config"):
        raise UnsupportedError(
            "adapters of PEFT are not kept here", "Merge it first: model.merge_and_unload()"
        )

    def write(folder: Path) -> Written:
        parts = _parts(pipeline, processor)
        pipeline.model.save_pretrained(str(folder / _MODEL))
        for name, part in parts.items():
            part.save_pretrained(str(folder / _COMPONENTS / name))
        settings = {
            "components": [name for name in parts if name != "processor"],
            "instance_type": type(pipeline).__name__,
            "model_binary": _MODEL,
            "pipeline_model_type": type(pipeline.model).__name__,
            "source_model_name": pipeline.model.name_or_path,
            "task": pipeline.task,
            "torch_dtype": str(pipeline.model.dtype),
            "transformers_version": transformers.__version__,
            **{f"{name}_type": type(part).__name__ for name, part in parts.items()},
        }
        if getattr(pipeline, "framework", None):
            settings["framework"] = pipeline.framework
        pyfunc = {"loader_module": "mlflow.transformers"}
        more = {"config": dict(config)} if config else {}
        return Written(NAME, settings, {**pyfunc, **more}, frozenset({"transformers", "torch"}))

    signature = SIGNATURES.get(kind_of(pipeline.task))
    return Content(NAME, write, predictor(pipeline, config or {}), signature=signature)


def _parts(pipeline: object, processor: object) -> dict[str, Any]:
    parts = {name: getattr(pipeline, name, None) for name in _PARTS}
    return {name: part for name, part in {**parts, "processor": processor}.items() if part}


def _class(transformers: ModuleType, name: object, above: str | None) -> Any:  # noqa: ANN401 - theirs
    """Give a class of transformers; others would have to be code that came with the model."""
    kind = getattr(transformers, str(name), None)
    if above is None or not isinstance(kind, type):
        raise UnsupportedError(
            f"transformers {transformers.__version__} has no '{name}'; "
            "classes that a model brings itself are not loaded"
        )
    if above not in {parent.__name__ for parent in kind.__mro__}:
        raise InvalidValueError(f"the model says that a part of it is a '{name}'; it can't be")
    return kind


def _how(transformers: ModuleType, settings: Settings) -> dict[str, object]:
    """Give how weights are loaded; other files than those of safetensors hold pickles."""
    how: dict[str, object] = {**_LOCAL, "use_safetensors": None if is_pickle_allowed() else True}
    dtype = settings.get("torch_dtype")
    if isinstance(dtype, str):
        version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
        how["dtype" if version >= _DTYPE_SINCE else "torch_dtype"] = dtype.rpartition(".")[2]
    return how
