"""A project, a target and parameters to a plan: the DAG of steps."""
