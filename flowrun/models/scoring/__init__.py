"""Scoring: MLflow's request bodies to predictions and back, in the model's own environment."""
