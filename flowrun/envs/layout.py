"""The folders of an environment store, below its own."""

ENVS = "envs"
LOCKS = "locks"
LOGS = "logs"
MEMOS = "memos"
RESOLVED = "resolved"
SCRATCH = "scratch"
USAGE = "usage"
