"""Run MLflow projects as DAGs of tracked, pinned steps."""
