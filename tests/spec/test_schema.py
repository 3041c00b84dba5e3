"""The JSON Schema agrees with the parser."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from flowrun.spec.schema import json_schema
from tests.spec.reading import mistakes_of
from tests.spec.test_attempts import ATTEMPTS
from tests.spec.test_mistakes import COMMANDS, PRELUDE, STEPS
from tests.spec.test_parse import DOCKER, EVALUATED, TOLERANT

_VALIDATOR = jsonschema.Draft202012Validator(json.loads(json_schema()))

SHAPES = [
    *(
        COMMANDS[name][0]
        for name in (
            "both command and steps",
            "empty entry point",
            "databricks",
            "parameter that is a default",
            "environment outside",
            "docker without image",
            "docker build outside",
            "docker build key",
            "docker build arguments",
            "docker gpus",
            "docker platform",
            "docker shm_size",
            "docker mount without target",
            "docker mount type",
            "docker mounts that are no maps",
            "output outside",
            "tolerances",
            "sizes",
            "retries",
            "backoff",
            "resources by attempt",
            "variables",
            "another executor",
        )
    ),
    *(
        PRELUDE + STEPS[name][0]
        for name in (
            "unknown key",
            "misspelt action",
            "argument that is a list",
            "incomplete select",
            "promote to nowhere",
            "version without project",
            "axis that is no list",
            "axis of lists",
            "matrix include",
            "foreach",
            "evaluate",
            "evaluate thresholds",
            "evaluate parts",
            "step name",
        )
    ),
]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(json_schema()))


@pytest.mark.parametrize("text", SHAPES)
def test_refuses_what_the_parser_refuses_for_its_shape(text: str) -> None:
    assert mistakes_of(text)
    assert not _VALIDATOR.is_valid(yaml.safe_load(text))


def test_accepts_what_the_parser_accepts() -> None:
    _VALIDATOR.validate(yaml.safe_load(PRELUDE + "      prepare: {with: {source: a.csv}}\n"))
    _VALIDATOR.validate(yaml.safe_load(DOCKER))
    _VALIDATOR.validate(yaml.safe_load(TOLERANT))
    _VALIDATOR.validate(yaml.safe_load(ATTEMPTS))
    _VALIDATOR.validate(yaml.safe_load(EVALUATED))
    _VALIDATOR.validate(None)
    _VALIDATOR.validate({"name": "x", "unknown": 1, "entry_points": {"main": {"command": "ls"}}})
