"""Kubernetes manifests for an image that serves a model."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flowrun.errors import UsageError
from flowrun.valueclass import valueclass
from flowrun.version import __version__

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[a-z0-9][\w./:@-]{0,254}")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kKMGT]i?)?")


@valueclass
class Deployment:
    """What is to run."""

    name: str
    """Of the deployment and of the service before it."""
    image: str
    replicas: int = 1
    workers: int = 1
    """Processes that predict, in each replica."""
    cpu: str = "500m"
    memory: str = "1Gi"
    port: int = 80
    """Of the service."""


def manifests(wanted: Deployment, templates: Path) -> str:
    """Give a Deployment and a Service as YAML.

    Args:
        wanted: what is to run.
        templates: the folder of serving's templates.

    Raises:
        UsageError: Kubernetes would refuse a name or quantity.
    """
    _check("--name", wanted.name, _NAME, "lower-case letters, digits and dashes: wine-quality")
    _check("--image", wanted.image, _IMAGE, "an image: registry.example.com/wine:1")
    _check("--cpu", wanted.cpu, _QUANTITY, "a quantity: 500m or 2")
    _check("--memory", wanted.memory, _QUANTITY, "a quantity: 512Mi or 2Gi")
    environment = Environment(  # noqa: S701 - no page: every text is written as JSON
        loader=FileSystemLoader(templates), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template("kubernetes.yaml.j2").render(
        version=__version__,
        name=wanted.name,
        image=wanted.image,
        replicas=wanted.replicas,
        workers=wanted.workers,
        cpu=wanted.cpu,
        memory=wanted.memory,
        port=wanted.port,
    )


def _check(flag: str, text: str, pattern: re.Pattern[str], wanted: str) -> None:
    if not pattern.fullmatch(text):
        raise UsageError(f"{flag} '{text}' is not what Kubernetes takes", f"Give {wanted}.")
