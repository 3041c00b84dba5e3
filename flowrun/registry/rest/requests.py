"""Requests to move a version, behind a server: flowrun's own keeps them, MLflow's does not."""

from __future__ import annotations

from typing import NoReturn

from flowrun.errors import UnsupportedError
from flowrun.registry.entities import ModelVersion, Stage
from flowrun.registry.request_wire import (
    asked_json,
    decision_json,
    move_json,
    request_from,
)
from flowrun.registry.requests import Asked, Decision, Move, PromotionRequest, RequestStatus
from flowrun.registry.rest.flowrun_releases import FLOWRUN_API
from flowrun.registry.rest.part import RestRegistryPart
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.part import page_from


class RestPromotionRequests(RestRegistryPart):
    """The `PromotionRequestStore` of a server."""

    @property
    def keeps_requests(self) -> bool:
        """Whether it is flowrun's own."""
        return self._is_flowrun

    def request_promotion(
        self, name: str, version: str, move: Move, asked: Asked
    ) -> PromotionRequest:
        """Ask that a version be moved; the same again gives the request that is pending."""
        self._check_kept()
        body = {"name": name, "version": version, **move_json(move), **asked_json(asked)}
        return self._server.send(
            "POST", "promotion-requests/create", body, _read_request, api=FLOWRUN_API
        )

    def get_promotion_request(self, request_id: str) -> PromotionRequest:
        """Give a request as it is now."""
        self._check_kept()
        query = {"request_id": request_id}
        return self._server.get("promotion-requests/get", query, _read_request, FLOWRUN_API)

    def list_promotion_requests(
        self, name: str | None = None, status: RequestStatus | None = None
    ) -> list[PromotionRequest]:
        """Give requests, oldest first."""
        self._check_kept()
        query = {"name": name, "status": status.value if status else None}
        read = page_from("promotion_requests", request_from)
        return list(self._server.get("promotion-requests/list", query, read, FLOWRUN_API).items)

    def decide_promotion(self, request_id: str, decision: Decision) -> PromotionRequest:
        """Approve a request, which moves its version at once, or reject it."""
        self._check_kept()
        what = "approve" if decision.is_approved else "reject"
        body = {"request_id": request_id, **decision_json(decision)}
        # Not repeated in doubt: a second time it would be refused as decided.
        return self._server.send(
            "POST",
            f"promotion-requests/{what}",
            body,
            _read_request,
            api=FLOWRUN_API,
            is_repeatable=False,
        )

    def roll_back(
        self,
        name: str,
        *,
        stage: Stage | None,
        alias: str | None,
        user_id: str,
        reason: str,
        expected: str | None = None,
    ) -> ModelVersion:
        """Take the last promotion to a place back; at once where the server is flowrun's."""
        return self._releases.roll_back(name, stage, alias, user_id, reason, expected)

    def _check_kept(self) -> None:
        if not self._is_flowrun:
            _refuse(self._server.url)


def _refuse(url: str) -> NoReturn:
    raise UnsupportedError(
        f"{url} is MLflow's own server, whose protocol knows no requests and approvals",
        "Record on a `flowrun server`, or in flowrun's own store.",
    )


def _read_request(fields: Fields) -> PromotionRequest:
    return request_from(fields.nested("promotion_request"))
