"""The tables of MLflow's SQL store, as far as they are read; columns came and went over the years.

Source: mlflow/store/db_migrations of MLflow 3.17, from the first migration on.
"""

from __future__ import annotations

READ = {
    "experiments": (
        *("experiment_id", "name", "artifact_location", "lifecycle_stage"),
        *("creation_time", "last_update_time", "workspace"),
    ),
    "experiment_tags": ("experiment_id", "key", "value"),
    "runs": (
        *("run_uuid", "experiment_id", "name", "user_id", "status", "start_time", "end_time"),
        *("artifact_uri", "lifecycle_stage", "deleted_time"),
        # Before tags took them over; no client reads them any more.
        *("source_type", "source_name", "source_version", "entry_point_name"),
    ),
    "params": ("run_uuid", "key", "value"),
    "tags": ("run_uuid", "key", "value"),
    "metrics": ("run_uuid", "key", "timestamp", "step", "value", "is_nan"),
    "latest_metrics": ("run_uuid", "key", "timestamp", "step", "value", "is_nan"),
    "datasets": (
        *("dataset_uuid", "experiment_id", "name", "digest"),
        *("dataset_source_type", "dataset_source", "dataset_schema", "dataset_profile"),
    ),
    "inputs": (
        *("input_uuid", "source_type", "source_id", "destination_type", "destination_id"),
        "step",
    ),
    "input_tags": ("input_uuid", "name", "value"),
    "logged_models": (
        *("model_id", "experiment_id", "name", "artifact_location", "creation_timestamp_ms"),
        *("last_updated_timestamp_ms", "status", "lifecycle_stage", "model_type"),
        *("source_run_id", "status_message"),
    ),
    "logged_model_params": ("model_id", "experiment_id", "param_key", "param_value"),
    "logged_model_tags": ("model_id", "experiment_id", "tag_key", "tag_value"),
    "logged_model_metrics": (
        *("model_id", "metric_name", "metric_timestamp_ms", "metric_step", "metric_value"),
        *("experiment_id", "run_id", "dataset_uuid", "dataset_name", "dataset_digest"),
    ),
    "registered_models": (
        *("name", "creation_time", "last_updated_time", "description", "workspace"),
    ),
    "registered_model_tags": ("name", "key", "value", "workspace"),
    "registered_model_aliases": ("name", "alias", "version", "workspace"),
    "model_versions": (
        *("name", "version", "creation_time", "last_updated_time", "description", "user_id"),
        *("current_stage", "source", "run_id", "status", "status_message", "run_link"),
        *("storage_location", "workspace"),
    ),
    "model_version_tags": ("name", "version", "key", "value", "workspace"),
}
"""Table to all columns it ever had."""

NEEDED = {
    "experiments": ("experiment_id", "name", "artifact_location", "lifecycle_stage"),
    "runs": ("run_uuid", "experiment_id", "status", "start_time", "artifact_uri"),
    "params": ("run_uuid", "key", "value"),
    "tags": ("run_uuid", "key", "value"),
    "metrics": ("run_uuid", "key", "timestamp", "value"),
}
"""What the first version had, and every later one."""

NOT_IMPORTED = {
    "trace_info": "traces",
    "scorers": "scorers",
    "evaluation_datasets": "evaluation datasets",
    "webhooks": "webhooks",
    "endpoints": "gateway endpoints",
    "secrets": "gateway secrets",
    "issues": "issues",
    "label_schemas": "label schemas",
    "review_queues": "review queues",
    "mcp_servers": "MCP servers",
    "guardrails": "guardrails",
    "budget_policies": "gateway budgets",
}
"""Other tables of MLflow's, by what people call what is in them; told if they are not empty."""

BESIDE = frozenset(
    {
        *("alembic_version", "workspaces", "jobs", "job_locks", "scheduler_leases"),
        *("assessments", "spans", "span_metrics", "trace_metrics", "trace_tags"),
        *("trace_request_metadata", "entity_associations", "online_scoring_configs"),
        *("sql_assessment_daily_rollups", "sql_span_cost_daily_rollups"),
        *("sql_trace_metric_daily_rollups", "sql_trace_rollup_rebuild_queue"),
        *("endpoint_bindings", "endpoint_model_mappings", "endpoint_tags", "model_definitions"),
        *("evaluation_dataset_records", "evaluation_dataset_tags", "guardrail_configs"),
        *("mcp_access_endpoints", "mcp_server_aliases", "mcp_server_tags"),
        *("mcp_server_version_tags", "mcp_server_versions", "review_queue_items"),
        *("review_queue_label_schemas", "review_queue_users", "scorer_versions"),
        "webhook_events",
    }
)
"""Tables that belong to those, or hold what a server works with."""
