"""Prints the fields of every request of MLflow's protocol as JSON schemas: {"METHOD path": ...}."""

import json
import re

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from mlflow.protos import (
    databricks_pb2,
    mlflow_artifacts_pb2,
    model_registry_pb2,
    service_pb2,
    webhooks_pb2,
)

INTEGERS = (
    *(FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64),
    *(FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64),
)
TYPES = {
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
    **{kind: {"type": "integer"} for kind in INTEGERS},
}


def schema_of(field: FieldDescriptor, depth: int) -> dict[str, object]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        found = message_schema(field.message_type, depth + 1)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        found = {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    else:
        found = TYPES[field.cpp_type]
    return {"type": "array", "items": found, "maxItems": 3} if field.is_repeated else found


def message_schema(message: Descriptor, depth: int = 0) -> dict[str, object]:
    if depth > 4 or message.full_name.startswith("google.protobuf"):
        return {"type": "object"}
    fields = {field.name: schema_of(field, depth) for field in message.fields}
    return {"type": "object", "properties": fields}


found = {}
for module in (service_pb2, model_registry_pb2, mlflow_artifacts_pb2, webhooks_pb2):
    for service in module.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = f"/api/{endpoint.since.major}.0{re.sub('{[^}.]*[.]', '{', endpoint.path)}"
                found[f"{endpoint.method} {path}"] = message_schema(method.input_type)
print(json.dumps(found))
