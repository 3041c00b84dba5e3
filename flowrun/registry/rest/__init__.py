"""Registered models behind a server that speaks MLflow's protocol."""
