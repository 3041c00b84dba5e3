"""Checks of what a store is asked to keep, with MLflow's rules and words.

MLflow's clients and their tests look for these messages, so the words are part of the contract.
`path` is how a message names the value: `name`, `metrics[0].name`, `params[3].key`.
Source: mlflow/utils/validation.py of MLflow 3.17; the numbers are in `limits.py`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flowrun.errors import InvalidValueError
from flowrun.tracking import limits
from flowrun.tracking.entities import Dataset, DatasetInput, Metric

_BAD_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.),"
    " spaces ( ), colon(:) and slashes (/)."
)


def invalid_value(path: str, value: object, reason: str | None = None) -> InvalidValueError:
    """Give MLflow's error for a value that is not allowed."""
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
    what = f"Invalid value {shown} for parameter '{path}' supplied"
    return InvalidValueError(f"{what}: {reason}" if reason else f"{what}.")


def missing_value(path: str) -> InvalidValueError:
    """Give MLflow's error for a value that must be there and is not."""
    return InvalidValueError(f"Missing value for required parameter '{path}'.")


def check_length(path: str, value: str, limit: int) -> None:
    """Refuse a text of more than `limit` characters."""
    if len(value) > limit:
        raise InvalidValueError(f"'{path}' exceeds the maximum length of {limit} characters")


def check_key(key: str, path: str) -> None:
    """Refuse a name that has odd characters or would be another one as a file's path."""
    if limits.NAME_PATTERN.fullmatch(key) is None:
        raise invalid_value(path, key, _BAD_CHARACTERS)
    _check_path_is_unique(key, path)


def check_run_id(run_id: str) -> None:
    """Refuse what can't be the id of a run."""
    if limits.RUN_ID_PATTERN.fullmatch(run_id) is None:
        raise invalid_value("run_id", run_id)


def parse_experiment_id(experiment_id: str) -> int:
    """Give an experiment's id as the number it is."""
    try:
        return int(experiment_id)
    except ValueError:
        raise InvalidValueError(
            f"Invalid experiment ID '{experiment_id}'. Experiment ID must be a valid integer."
        ) from None


def check_experiment_name(name: str) -> None:
    """Refuse an empty or too long name."""
    if not name:
        raise InvalidValueError(f"Invalid experiment name: '{name}'")
    check_length("name", name, limits.MAX_EXPERIMENT_NAME_LENGTH)


def check_experiment_tag(key: str, value: str) -> None:
    """Refuse a key or value that an experiment can't have."""
    check_key(key, "key")
    check_length("key", key, limits.MAX_EXPERIMENT_TAG_KEY_LENGTH)
    check_length("value", value, limits.MAX_EXPERIMENT_TAG_VALUE_LENGTH)


def check_artifact_location(location: str) -> str:
    """Give an experiment's artifact location, a relative path made absolute.

    Raises:
        InvalidValueError: a `runs:` URI, a query or fragment, a climbing path, or too long.
    """
    if location.startswith("runs:"):
        raise InvalidValueError(f"Artifact location cannot be a runs:/ URI. Given: '{location}'")
    if len(location) > limits.MAX_ARTIFACT_LOCATION_LENGTH:
        raise InvalidValueError(
            "Invalid artifact path length. The length of the artifact path cannot be greater "
            f"than {limits.MAX_ARTIFACT_LOCATION_LENGTH} characters."
        )
    if {"?", "#"} & set(location) or ".." in location.replace("\\", "/").split("/"):
        raise invalid_value("artifact_location", location, "Invalid path")
    return location if not location or ":" in location else str(Path(location).absolute())


def check_metrics(metrics: Sequence[Metric], path: str = "metrics") -> None:
    """Refuse metrics with a bad key, time or step.

    Args:
        metrics: as they came in.
        path: names the list in messages: `metrics` gives `metrics[0].name`, '' gives `name`.
    """
    checked: set[str] = set()
    for index, metric in enumerate(metrics):
        where = f"{path}[{index}]." if path else ""
        if metric.key not in checked:
            check_key(metric.key, f"{where}name")
            if len(metric.key) > limits.MAX_KEY_LENGTH:
                check_length("Metric name", metric.key, limits.MAX_KEY_LENGTH)
            checked.add(metric.key)
        if not 0 <= metric.timestamp_ms <= limits.MAX_INTEGER:
            raise invalid_value(
                f"{where}timestamp",
                metric.timestamp_ms,
                f"metric '{metric.key}' (value={metric.value}). "
                "Timestamp must be a nonnegative long (64-bit integer) ",
            )
        if abs(metric.step) > limits.MAX_INTEGER:
            raise invalid_value(
                f"{where}step",
                metric.step,
                f"metric '{metric.key}' (value={metric.value}). "
                "Step must be a valid long (64-bit integer).",
            )


def check_params(params: Mapping[str, str], path: str = "params") -> dict[str, str]:
    """Give params with values cut to the limit; refuse bad keys. `path` as in `check_metrics`."""
    for index, key in enumerate(params):
        check_key(key, f"{path}[{index}].key" if path else "key")
        check_length("Param key", key, limits.MAX_KEY_LENGTH)
    return {key: value[: limits.MAX_PARAM_VALUE_LENGTH] for key, value in params.items()}


def check_tags(tags: Mapping[str, str], path: str = "tags") -> dict[str, str]:
    """Give run tags with values cut to the limit; refuse bad keys. `path` as in `check_metrics`."""
    for index, key in enumerate(tags):
        where = f"{path}[{index}].key" if path else "key"
        check_key(key, where)
        check_length(where, key, limits.MAX_KEY_LENGTH)
    return {key: value[: limits.MAX_TAG_VALUE_LENGTH] for key, value in tags.items()}


def check_batch_size(metrics: int, params: int, tags: int) -> None:
    """Refuse a log-batch of too many things; the arguments are counts."""
    _check_count("metrics", limits.MAX_METRICS_PER_BATCH, metrics)
    _check_count("params", limits.MAX_PARAMS_TAGS_PER_BATCH, params)
    _check_count("tags", limits.MAX_PARAMS_TAGS_PER_BATCH, tags)
    _check_count(
        "metrics, params, and tags", limits.MAX_ENTITIES_PER_BATCH, metrics + params + tags
    )


def check_unique_params(keys: Iterable[str]) -> None:
    """Refuse a request that names a param twice, even with one value. For lists off the wire."""
    seen: set[str] = set()
    twice: list[str] = []
    for key in keys:
        (twice.append if key in seen else seen.add)(key)
    if twice:
        raise InvalidValueError(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure "
            "the request contains only one param value per param key."
        )


def check_dataset_input(given: DatasetInput) -> None:
    """Refuse a dataset or a tag of it that is too long."""
    _check_dataset(given.dataset)
    for key, value in given.tags.items():
        check_length("key", key, limits.MAX_INPUT_TAG_KEY_LENGTH)
        check_length("value", value, limits.MAX_INPUT_TAG_VALUE_LENGTH)


def check_logged_model_name(name: str | None) -> None:
    """Refuse a name that can't be part of a model's URI; None lets the store choose one."""
    bad = limits.BAD_LOGGED_MODEL_NAME_CHARACTERS
    if name is not None and (not name or any(character in name for character in bad)):
        raise InvalidValueError(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string "
            f"and cannot contain the following characters: {bad}"
        )


def check_registered_model_name(name: str, path: str = "name") -> None:
    """Refuse a registered model's name that can't be part of a `models:/` URI."""
    if not name.strip():
        raise missing_value(path)
    if "/" in name or ":" in name:
        raise InvalidValueError(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    _check_path_is_unique(name, "name")


def check_registry_tag(key: str, value: str) -> None:
    """Refuse a key or value that a registered model or a version can't have."""
    check_key(key, "key")
    check_length("key", key, limits.MAX_REGISTRY_TAG_KEY_LENGTH)
    check_length("value", value, limits.MAX_REGISTRY_TAG_VALUE_LENGTH)


def parse_version(version: str) -> int:
    """Give a model version's number."""
    try:
        return int(version)
    except ValueError:
        raise InvalidValueError(
            f"Parameter 'version' must be an integer, got '{version}'."
        ) from None


def check_alias(alias: str) -> None:
    """Refuse an alias that is malformed, or that reads like a version or `latest`."""
    if not alias:
        raise InvalidValueError("Registered model alias name cannot be empty.")
    if limits.ALIAS_PATTERN.fullmatch(alias) is None:
        raise InvalidValueError(
            f"Invalid alias name: '{alias}'. "
            "Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    check_length("Registered model alias name", alias, limits.MAX_ALIAS_LENGTH)
    if alias.lower() == "latest":
        raise InvalidValueError("'latest' alias name (case insensitive) is reserved.")
    if limits.VERSION_ALIAS_PATTERN.fullmatch(alias):
        raise InvalidValueError(f"Version alias name '{alias}' is reserved.")


def check_trace_tag(key: str, value: str) -> str:
    """Give a trace tag's value, cut to the limit; refuse a bad key."""
    check_key(key, "key")
    check_length("key", key, limits.MAX_TRACE_KEY_LENGTH)
    return value[: limits.MAX_TRACE_TAG_VALUE_LENGTH]


def check_trace_id(trace_id: str, path: str = "trace_id") -> None:
    """Refuse a trace's id, or another one beside it, that is empty or too long to be looked up."""
    if not trace_id:
        raise missing_value(path)
    check_length(path, trace_id, limits.MAX_TRACE_KEY_LENGTH)


def check_delete_traces(
    trace_ids: Sequence[str], max_time_ms: int | None, max_traces: int | None
) -> None:
    """Refuse to delete traces both by id and by age, or by neither."""
    if max_time_ms is None and not trace_ids:
        raise InvalidValueError("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    if max_time_ms is not None and trace_ids:
        raise InvalidValueError(
            "Only one of `max_timestamp_millis` and `trace_ids` can be specified."
        )
    if trace_ids and max_traces is not None:
        raise InvalidValueError("`max_traces` can't be specified if `trace_ids` is specified.")
    if max_traces is not None and max_traces <= 0:
        raise InvalidValueError(f"`max_traces` must be a positive integer, received {max_traces}.")


def check_max_results(max_results: int, limit: int) -> None:
    """Refuse a page size below 1 or above `limit`."""
    what = f"Invalid value {max_results} for parameter 'max_results' supplied. It must be"
    if max_results < 1:
        raise InvalidValueError(f"{what} a positive integer")
    if max_results > limit:
        raise InvalidValueError(f"{what} at most {limit}")


def _check_path_is_unique(name: str, path: str) -> None:
    normal = posixpath.normpath(name)
    if normal != name or normal == "." or normal.startswith(("..", "/")):
        raise invalid_value(
            path,
            name,
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {normal!r}",
        )


def _check_count(what: str, limit: int, count: int) -> None:
    if count > limit:
        raise InvalidValueError(
            f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. "
            f"Please split up {what} across multiple requests and try again."
        )


def _check_dataset(dataset: Dataset) -> None:
    check_length("name", dataset.name, limits.MAX_DATASET_NAME_LENGTH)
    check_length("digest", dataset.digest, limits.MAX_DATASET_DIGEST_LENGTH)
    check_length("source", dataset.source, limits.MAX_DATASET_SOURCE_LENGTH)
    check_length("schema", dataset.schema or "", limits.MAX_DATASET_SCHEMA_LENGTH)
    check_length("profile", dataset.profile or "", limits.MAX_DATASET_PROFILE_LENGTH)
