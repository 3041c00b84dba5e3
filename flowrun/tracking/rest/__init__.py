"""Experiments, runs, logged models and artifacts behind a server that speaks MLflow's protocol."""
