"""Finds the route of a request: a dictionary for fixed paths, patterns for the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from flowrun.server.messages import ANY_METHOD, Route
from flowrun.server.problems import UnknownRouteError, WrongMethodError

_PLACEHOLDER = re.compile(r"\\{(\w+)(\\.\\.\\.)?\\}")


class RouteTable:
    """All routes of a server, each found by method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[str, dict[str, Route]] = {}
        patterns: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            methods = (patterns if "{" in route.path else self._fixed).setdefault(route.path, {})
            if route.method in methods:
                raise AssertionError(f"two routes for {route.method} {route.path}")
            methods[route.method] = route
        self._patterns = [(_compile(path), methods) for path, methods in patterns.items()]

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Give the route and the values of its path's placeholders; HEAD goes where GET goes.

        Raises:
            UnknownRouteError: no route has this path.
            WrongMethodError: routes have it, but none takes this method.
        """
        methods, values = self._methods(path)
        route = methods.get("GET" if method == "HEAD" else method) or methods.get(ANY_METHOD)
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise WrongMethodError(f"{path} does not take {method}, only {allowed}.")
        return route, values

    def _methods(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]]:
        if path in self._fixed:
            return self._fixed[path], {}
        for pattern, methods in self._patterns:
            if match := pattern.fullmatch(path):
                return methods, match.groupdict()
        raise UnknownRouteError(f"This server has no '{path}'.")


def _compile(path: str) -> re.Pattern[str]:
    def group(placeholder: re.Match[str]) -> str:
        return f"(?P<{placeholder[1]}>{'.+' if placeholder[2] else '[^/]+'})"

    return re.compile(_PLACEHOLDER.sub(group, re.escape(path)), re.DOTALL)
