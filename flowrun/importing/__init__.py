"""Takes over what MLflow's stores hold: experiments, runs, models, versions, artifacts."""
