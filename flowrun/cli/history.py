"""What happened to a model's versions: moves, requests and decisions, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import typer

from flowrun.cli.tables import print_rows, time_text
from flowrun.registry.entities import Transition
from flowrun.registry.requests import PromotionRequest, RequestStatus


def transition_to_json(transition: Transition) -> dict[str, object]:
    """Give one line of the history for programs."""
    return {
        "time_ms": transition.time_ms,
        "version": transition.version,
        "kind": transition.kind,
        "alias": transition.alias,
        "from": transition.before,
        "to": transition.after,
        "user": transition.user_id,
        "reason": transition.reason,
        "run_id": transition.run_id,
    }


def request_to_json(request: PromotionRequest) -> dict[str, object]:
    """Give a request for programs."""
    return {
        "request_id": request.request_id,
        "name": request.name,
        "version": request.version,
        "to": request.move.stage.value if request.move.stage else None,
        "alias": request.move.alias,
        "status": request.status.value,
        "time_ms": request.time_ms,
        "user": request.user_id,
        "reason": request.reason,
        "run_id": request.run_id,
        "approvers": list(request.approvers),
        "decided_by": request.decided_by,
        "decided_time_ms": request.decided_time_ms,
        "comment": request.comment,
    }


def print_requests(requests: Sequence[PromotionRequest]) -> None:
    """Print requests, a line each."""
    rows = [
        {
            "time": time_text(request.time_ms),
            "version": request.version_uri,
            "to": str(request.move),
            "status": request.status.value,
            "by": request.user_id,
            "why": request.reason,
            "decided": _decided(request),
        }
        for request in requests
    ]
    print_rows(("time", "version", "to", "status", "by", "why", "decided"), rows, as_json=False)


def print_history(history: Sequence[Transition], requests: Sequence[PromotionRequest] = ()) -> None:
    """Print what happened, oldest first."""
    events = [_moved(line) for line in history]
    events += [each for request in requests for each in _asked(request)]
    if not events:
        return
    typer.echo("history")
    rows = [row for _, row in sorted(events, key=lambda event: event[0])]
    print_rows(("time", "version", "change", "by", "why", "run"), rows, as_json=False)


def _moved(line: Transition) -> tuple[int, dict[str, object]]:
    how = f" ({line.via})" if line.via else ""
    return _row(
        line.time_ms, line.version, f"{_change(line)}{how}", line.user_id, line.reason, line.run_id
    )


def _asked(request: PromotionRequest) -> Iterator[tuple[int, dict[str, object]]]:
    run_id, version = request.run_id, request.version
    what = f"asked for {request.move}"
    yield _row(request.time_ms, version, what, request.user_id, request.reason, run_id)
    if request.decided_time_ms is not None:
        what = f"{request.move} {request.status}"
        by, comment = request.decided_by, request.comment
        yield _row(request.decided_time_ms, version, what, by, comment, run_id)


def _row(
    time_ms: int, version: str, change: str, by: str, why: str, run_id: str | None
) -> tuple[int, dict[str, object]]:
    return time_ms, {
        "time": time_text(time_ms),
        "version": version,
        "change": change,
        "by": by,
        "why": why,
        "run": run_id,
    }


def _decided(request: PromotionRequest) -> str:
    if request.status is RequestStatus.PENDING:
        return f"waits for {' or '.join(request.approvers)}" if request.approvers else ""
    return ": ".join(filter(None, (request.decided_by, request.comment)))


def _change(line: Transition) -> str:
    if line.kind == "stage":
        return f"{line.before} -> {line.after}"
    if not line.after:
        return f"@{line.alias} removed"
    return f"@{line.alias} = {line.after}" + (f" (was {line.before})" if line.before else "")
