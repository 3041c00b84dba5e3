"""Runs as the light client shows them, with the attributes they have in MLflow's client."""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs more to import than this whole module
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class RunInfo:
    """What identifies a run and says how it stands; times in ms since the Unix epoch."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        """Read the server's JSON."""
        self.run_id: str = info["run_id"]
        self.run_name: str = info.get("run_name", "")
        self.experiment_id: str = info["experiment_id"]
        self.status: str = info.get("status", "RUNNING")
        self.start_time: int = info.get("start_time", 0)
        self.end_time: int | None = info.get("end_time")
        self.artifact_uri: str = info.get("artifact_uri", "")
        self.lifecycle_stage: str = info.get("lifecycle_stage", "active")
        self.user_id: str = info.get("user_id", "")


class RunData:
    """What was logged: params, tags, and the latest value of each metric."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """Read the server's JSON."""
        self.params: dict[str, str] = _pairs(data, "params")
        self.tags: dict[str, str] = _pairs(data, "tags")
        # A nan or an infinity comes as a text, which float() reads.
        self.metrics: dict[str, float] = {
            item["key"]: float(item["value"]) for item in data.get("metrics", ())
        }


class Run:
    """A run as it was when it was read."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        """Read the server's JSON."""
        self.info = RunInfo(run["info"])
        self.data = RunData(run.get("data", {}))

    def __repr__(self) -> str:
        """Show id, name and status."""
        info = self.info
        return f"<Run {info.run_id} '{info.run_name}' {info.status}>"


def _pairs(data: Mapping[str, Any], name: str) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in data.get(name, ())}
