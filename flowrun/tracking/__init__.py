"""Experiments and runs, after MLflow's data model."""
