"""MLflow's REST API over the stores."""
