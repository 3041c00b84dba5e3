"""Lengths, counts and name patterns that MLflow allows, each with its source.

Lengths are in characters, counts in things of one request. `validation.py` below is
`mlflow/utils/validation.py`, `search.py` the constants of `mlflow/store/tracking/__init__.py` and
`mlflow/store/model_registry/__init__.py`, all of MLflow 3.17.
"""

from __future__ import annotations

import re

MAX_KEY_LENGTH = 250
"""Keys of metrics, params and run tags. Source: validation.py MAX_ENTITY_KEY_LENGTH."""

MAX_PARAM_VALUE_LENGTH = 6000
"""A longer value is cut. Source: validation.py MAX_PARAM_VAL_LENGTH."""

MAX_TAG_VALUE_LENGTH = 8000
"""A run tag's; a longer value is cut. Source: validation.py MAX_TAG_VAL_LENGTH."""

MAX_EXPERIMENT_NAME_LENGTH = 500
"""Source: validation.py MAX_EXPERIMENT_NAME_LENGTH."""

MAX_EXPERIMENT_TAG_KEY_LENGTH = 250
"""Source: validation.py MAX_EXPERIMENT_TAG_KEY_LENGTH."""

MAX_EXPERIMENT_TAG_VALUE_LENGTH = 20_000
"""Source: validation.py MAX_EXPERIMENT_TAG_VAL_LENGTH (5000 up to MLflow 3.11)."""

MAX_ARTIFACT_LOCATION_LENGTH = 2048
"""Source: MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH, default."""

MAX_METRICS_PER_BATCH = 1000
"""Source: validation.py MAX_METRICS_PER_BATCH."""

MAX_PARAMS_TAGS_PER_BATCH = 100
"""Params, and tags again. Source: validation.py MAX_PARAMS_TAGS_PER_BATCH."""

MAX_ENTITIES_PER_BATCH = 1000
"""Metrics, params and tags together. Source: validation.py MAX_ENTITIES_PER_BATCH."""

MAX_BATCH_REQUEST_BYTES = 1_000_000
"""The body of a log-batch request. Source: validation.py MAX_BATCH_LOG_REQUEST_SIZE."""

MAX_DATASETS_PER_BATCH = 1000
"""Source: validation.py MAX_DATASETS_PER_BATCH."""

MAX_DATASET_NAME_LENGTH = 500
"""Source: validation.py MAX_DATASET_NAME_SIZE."""

MAX_DATASET_DIGEST_LENGTH = 36
"""Source: validation.py MAX_DATASET_DIGEST_SIZE."""

MAX_DATASET_SCHEMA_LENGTH = 1_048_575
"""Source: validation.py MAX_DATASET_SCHEMA_SIZE."""

MAX_DATASET_SOURCE_LENGTH = 65_535
"""Source: validation.py MAX_DATASET_SOURCE_SIZE."""

MAX_DATASET_PROFILE_LENGTH = 16_777_215
"""Source: validation.py MAX_DATASET_PROFILE_SIZE."""

MAX_INPUT_TAG_KEY_LENGTH = 255
"""Source: validation.py MAX_INPUT_TAG_KEY_SIZE."""

MAX_INPUT_TAG_VALUE_LENGTH = 500
"""Source: validation.py MAX_INPUT_TAG_VALUE_SIZE."""

MAX_REGISTRY_TAG_KEY_LENGTH = 250
"""Source: validation.py MAX_MODEL_REGISTRY_TAG_KEY_LENGTH."""

MAX_REGISTRY_TAG_VALUE_LENGTH = 100_000
"""Source: validation.py MAX_MODEL_REGISTRY_TAG_VALUE_LENGTH."""

MAX_ALIAS_LENGTH = 255
"""Source: validation.py MAX_REGISTERED_MODEL_ALIAS_LENGTH."""

MAX_SEARCH_RESULTS = 50_000
"""Runs or experiments on a page. Source: search.py SEARCH_MAX_RESULTS_THRESHOLD."""

MAX_METRIC_HISTORY_RESULTS = 25_000
"""Points on a page. Source: MLflow REST API, "Get Metric History"."""

MAX_REGISTERED_MODEL_RESULTS = 1000
"""Source: search.py SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD."""

MAX_MODEL_VERSION_RESULTS = 200_000
"""Source: search.py SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD."""

MAX_TRACE_KEY_LENGTH = 250
"""Keys of a trace's tags and metadata. Source: validation.py MAX_TRACE_TAG_KEY_LENGTH."""

MAX_TRACE_TAG_VALUE_LENGTH = 8000
"""A longer value is cut; metadata too. Source: validation.py MAX_TRACE_TAG_VAL_LENGTH."""

MAX_TRACE_METADATA_VALUE_LENGTH = 8000
"""MLflow's client cuts its own at 250; a longer one is cut."""

MAX_TRACE_PREVIEW_LENGTH = 1000
"""A preview made by the server. Source: TRACE_REQUEST_RESPONSE_PREVIEW_MAX_LENGTH_OSS."""

MAX_TRACE_RESULTS = 500
"""Traces on a page. Source: handlers.py _search_traces_v3."""

MAX_TRACE_LINKS = 100
"""Traces in one request to link them. Source: store/tracking MAX_TRACE_LINKS_PER_REQUEST."""

MAX_REGEX_LENGTH = 1000
"""The pattern of an RLIKE; ours, MLflow has none."""

MAX_INTEGER = 2**63 - 1
"""Steps and times are 64-bit. Source: MLflow service.proto, int64."""

LARGEST_FLOAT = 1.7976931348623157e308
"""What an infinite metric comes back as. Source: MLflow's SqlAlchemyStore.sanitize_metric_value."""

NAME_PATTERN = re.compile(r"[/\w.\- :]*")
"""Keys of metrics, params and tags. Source: validation.py validate_param_and_metric_name."""

RUN_ID_PATTERN = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
"""Source: validation.py _RUN_ID_REGEX."""

ALIAS_PATTERN = re.compile(r"[\w\-]*")
"""Source: validation.py _REGISTERED_MODEL_ALIAS_REGEX."""

VERSION_ALIAS_PATTERN = re.compile(r"[vV]\d+")
"""Aliases that would read like a version. Source: _REGISTERED_MODEL_ALIAS_VERSION_REGEX."""

BAD_LOGGED_MODEL_NAME_CHARACTERS = ("/", ":", ".", "%", '"', "'")
"""Source: validation.py _validate_logged_model_name."""

MAX_DATASET_SUMMARIES = 1000
"""Source: SqlAlchemyStore._search_datasets of MLflow 3.17."""

MAX_WEBHOOK_RESULTS = 1000
"""Source: SqlAlchemyStore.list_webhooks of MLflow 3.17."""

MAX_WEBHOOK_URL_LENGTH = 500
"""Source: the column `url` of MLflow 3.17."""

MAX_WEBHOOK_DESCRIPTION_LENGTH = 1000
"""Source: the column `description` of MLflow 3.17."""

MAX_WEBHOOK_SECRET_LENGTH = 700
"""What MLflow's column of 1000 characters holds once it is encrypted."""

WEBHOOK_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
"""Source: validation.py _WEBHOOK_NAME_REGEX."""
