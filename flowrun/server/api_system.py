"""What the server says about itself."""

from __future__ import annotations

import importlib

from flowrun.server.messages import Call, Permission, Response, Route, text_response
from flowrun.server.meters import CONTENT_TYPE
from flowrun.server.openapi import openapi
from flowrun.server.problems import UnknownRouteError
from flowrun.tracking.artifacts import offers_transfer
from flowrun.tracking.fields import JsonObject
from flowrun.version import __version__

# The version of MLflow whose protocol this is. Clients older than 3.4 in this place are spoken to
# with less, so it must parse as a version and be at least that.
PROTOCOL_VERSION = "3.11.2"


def get_health(_: Call) -> Response:
    """Say that the server answers."""
    return text_response("OK")


def get_version(_: Call) -> Response:
    """Give the version of MLflow whose protocol the server speaks."""
    return text_response(PROTOCOL_VERSION)


def get_server_info(call: Call) -> JsonObject:
    """Say which of MLflow's optional abilities the server has, and that it is flowrun's."""
    has_transfer = offers_transfer(call.stores.artifacts_destination)
    return {
        "flowrun_version": __version__,
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": has_transfer,
        "multipart_downloads_enabled": has_transfer,
        "presigned_upload_run_id_supported": True,
        "presigned_upload_model_id_supported": True,
    }


def get_metrics(call: Call) -> Response:
    """Give the server's counters for Prometheus."""
    meters = call.stores.meters
    if meters is None:
        raise UnknownRouteError("This server counts nothing; start it with --metrics.")
    return text_response(meters.text(), CONTENT_TYPE)


def get_openapi(_: Call) -> JsonObject:
    """Describe all routes in OpenAPI's form."""
    # By name: the table of routes holds this one too.
    return openapi(importlib.import_module("flowrun.server.routes").all_routes())


ROUTES = (
    Route("GET", "/health", Permission.PUBLIC, get_health),
    Route("GET", "/version", Permission.READ, get_version),
    Route("GET", "/api/flowrun/1.0/openapi.json", Permission.READ, get_openapi),
    Route("GET", "/api/3.0/mlflow/server-info", Permission.PUBLIC, get_server_info),
    Route("GET", "/metrics", Permission.READ, get_metrics, is_slow=True),
)
