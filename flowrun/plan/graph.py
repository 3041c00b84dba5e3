"""Graph questions that need a library: imported by drawings only, as networkx takes 150 ms."""

from __future__ import annotations

import networkx

from flowrun.plan.plan import Plan

MAX_EDGES = 20_000
"""Above it every edge is drawn: leaving out what follows from others would take too long."""


def edges_to_draw(plan: Plan) -> list[tuple[str, str]]:
    """Return (before, after) pairs, without those that follow from others, in plan order."""
    return without_implied([(need, step.id) for step in plan.steps for need in step.needs])


def without_implied(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the edges of an acyclic graph without those that follow from others."""
    if len(edges) > MAX_EDGES:
        return edges
    reduced = networkx.transitive_reduction(networkx.DiGraph(edges))
    return [edge for edge in edges if reduced.has_edge(*edge)]
