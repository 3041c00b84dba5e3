"""What would become of a plan's steps if it ran now; nothing is executed, nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from flowrun.engine.code import Codes
from flowrun.engine.environments import Environments
from flowrun.engine.masking import Masker
from flowrun.engine.memo import DigestMemo
from flowrun.engine.request import RunRequest
from flowrun.engine.reuse import Foreseen, Verdict, open_reuse
from flowrun.engine.services import Services


def foresee(request: RunRequest, services: Services) -> Mapping[str, Foreseen]:
    """Give for each step whether it would run or be reused, and why, by its id.

    Args:
        request: of its options those count that decide about reuse.
        services: their executor is not asked for.

    Raises:
        PlanError: `sources` that mean no file. FlowrunError: the store can't be read.
    """
    Codes(services.sources, request.projects).check(request.plan.looks)
    variables = services.variables
    secrets = {name for step in request.plan.looks for name in step.secrets}
    mask = Masker.of(variables[name] for name in secrets if name in variables)
    visible = {name: value for name, value in variables.items() if name not in secrets}
    environments = Environments(services, request, lambda _: None, lambda: False)
    with closing(DigestMemo(services.home.digests)) as memo:
        return open_reuse(services, request, environments, mask, memo, visible).foresee()


def foreseen_text(foreseen: Foreseen) -> str:
    """Say it in a few words: `run: parameter lr: 0.1 -> 0.2`."""
    match foreseen.verdict:
        case Verdict.REUSE:
            return f"reuse {foreseen.why}"
        case Verdict.RUN:
            return f"run: {foreseen.why}"
        case Verdict.UNKNOWN:
            colon = "" if foreseen.why.startswith("until ") else ":"
            return f"unknown{colon} {foreseen.why}"
