"""The scoring protocol as an OpenAPI description, with the columns that this model takes.

Source: OpenAPI 3.0.3; MLflow 3.17, mlflow/types/schema.py, for what the types are called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowrun.models.schema import (
    AnyType,
    Array,
    ColSpec,
    ColumnType,
    DataType,
    Map,
    Object,
    ParamSchema,
    Schema,
    TensorSpec,
)
from flowrun.models.signature import ModelSignature
from flowrun.version import __version__

_NUMBER = {"type": "number"}
_OF_TYPE: dict[DataType, dict[str, Any]] = {
    DataType.boolean: {"type": "boolean"},
    DataType.integer: {"type": "integer", "format": "int32"},
    DataType.long: {"type": "integer", "format": "int64"},
    DataType.float: {**_NUMBER, "format": "float"},
    DataType.double: {**_NUMBER, "format": "double"},
    DataType.string: {"type": "string"},
    DataType.binary: {"type": "string", "format": "byte"},
    DataType.datetime: {"type": "string", "format": "date-time"},
}
_ERROR = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
_TEXTS = {
    400: "The body can't be read, does not fit the signature, or the model failed on it.",
    413: "The body is too large.",
    415: "The body is of a kind that is not read.",
    503: "Too many requests wait; try again.",
    504: "The model took too long.",
}


def openapi_json(about: Mapping[str, Any]) -> bytes:
    """Give the description as JSON.

    Args:
        about: what a process has said of its model.
    """
    said = about.get("signature")
    signature = ModelSignature.from_dict(said) if said else None
    return json.dumps(openapi(signature, about.get("example"))).encode()


def openapi(signature: ModelSignature | None, example: str | None) -> dict[str, Any]:
    """Give the OpenAPI description of a server of one model.

    Args:
        signature: of the model, if it has one.
        example: a request's body in JSON.
    """
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "A model, served by flowrun",
            "version": __version__,
            "description": "MLflow's scoring protocol.",
        },
        "paths": {
            "/invocations": {"post": _invocations(signature, example)},
            "/ping": {"get": _told("Whether the model can be asked.", "application/json")},
            "/health": {"get": _told("The same.", "application/json")},
            "/version": {"get": _told("flowrun's version.", "application/json")},
            "/metrics": {"get": _told("Counters for Prometheus.", "text/plain")},
        },
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _invocations(signature: ModelSignature | None, example: str | None) -> dict[str, Any]:
    inputs = signature.inputs if signature else None
    body: dict[str, Any] = {"schema": {"oneOf": _forms(inputs, signature)}}
    if example is not None:
        body["example"] = json.loads(example)
    binary = {"schema": {"type": "string", "format": "binary"}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    outputs = signature.outputs if signature else None
    return {
        "summary": "Predict.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": body,
                "text/csv": {"schema": {"type": "string"}},
                "application/vnd.apache.parquet": binary,
            },
        },
        "responses": {
            "200": {
                "description": "The predictions, one for each row.",
                "content": {"application/json": {"schema": _predictions(outputs)}},
            },
            **{
                str(status): {"description": text, "content": {} if status in {415, 504} else error}
                for status, text in _TEXTS.items()
            },
        },
        "security": [{}, {"token": []}],
    }


def _told(text: str, content_type: str) -> dict[str, Any]:
    content = {content_type: {"schema": {"type": "string"}}}
    return {"summary": text, "responses": {"200": {"description": text, "content": content}}}


def _forms(inputs: Schema | None, signature: ModelSignature | None) -> list[dict[str, Any]]:
    params = _params(signature.params) if signature and signature.params else None
    row = _row(inputs)
    names = {"type": "array", "items": {"type": "string"}}
    if inputs is not None and inputs.has_names:
        names["items"] = {"type": "string", "enum": [str(name) for name in inputs.input_names()]}
    split = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "columns": {**names, "items": {"type": "string"}} if inputs is None else names,
            "data": {"type": "array", "items": {"type": "array", "items": {}}},
            "index": {"type": "array", "items": {}},
        },
    }
    forms = {
        "dataframe_split": split,
        "dataframe_records": {"type": "array", "items": row},
        "inputs": {},
        "instances": {"type": "array", "items": {}},
    }
    return [_form(name, schema, params) for name, schema in forms.items()]


def _form(name: str, schema: dict[str, Any], params: dict[str, Any] | None) -> dict[str, Any]:
    properties = {name: schema, **({"params": params} if params else {})}
    return {"type": "object", "title": name, "required": [name], "properties": properties}


def _row(inputs: Schema | None) -> dict[str, Any]:
    if inputs is None or not inputs.has_names:
        return {"type": "object"}
    return {
        "type": "object",
        "required": [str(spec.name) for spec in inputs if _is_required(spec)],
        "properties": {str(spec.name): _spec(spec) for spec in inputs},
    }


def _is_required(spec: ColSpec | TensorSpec) -> bool:
    return isinstance(spec, TensorSpec) or spec.required


def _spec(spec: ColSpec | TensorSpec) -> dict[str, Any]:
    if isinstance(spec, TensorSpec):
        items: dict[str, Any] = {}
        for _ in spec.shape[1:]:
            items = {"type": "array", "items": items}
        return {**items, "description": f"{spec.type}, shape {list(spec.shape)}"}
    made = _type(spec.kind)
    return made if spec.required else {**made, "nullable": True}


def _type(kind: ColumnType) -> dict[str, Any]:
    if isinstance(kind, DataType):
        return dict(_OF_TYPE[kind])
    if isinstance(kind, Array):
        return {"type": "array", "items": _type(kind.dtype)}
    if isinstance(kind, Map):
        return {"type": "object", "additionalProperties": _type(kind.value_type)}
    if isinstance(kind, Object):
        made: dict[str, Any] = {
            "type": "object",
            "properties": {item.name: _type(item.dtype) for item in kind.properties},
        }
        required = [item.name for item in kind.properties if item.required]
        return {**made, "required": required} if required else made
    return {} if isinstance(kind, AnyType) else {"type": "array", "items": _NUMBER}


def _params(params: ParamSchema) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for spec in params.params:
        kind = _type(spec.kind)
        made = kind if spec.shape is None else {"type": "array", "items": kind}
        properties[spec.name] = made
        if spec.default is not None and isinstance(spec.default, (str, int, float, list)):
            properties[spec.name] = {**made, "default": spec.default}
    return {"type": "object", "properties": properties}


def _predictions(outputs: Schema | None) -> dict[str, Any]:
    items: dict[str, Any] = {}
    if outputs is not None and outputs.columns:
        first = outputs.columns[0]
        items = _type(first.kind) if first.name is None else _row(outputs)
    made = {"type": "array", "items": items} if items else {}
    return {"type": "object", "required": ["predictions"], "properties": {"predictions": made}}
