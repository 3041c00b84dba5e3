"""Models of one's own, as users write them: a class, a function, a file of code, a loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from flowrun.models.flavors import pyfunc


class Adder(pyfunc.PythonModel):
    """Adds a number that lies in a file, times a parameter."""

    def load_context(self, context: pyfunc.PythonModelContext) -> None:
        """Read the number."""
        self.number = float(Path(context.artifacts["number"]).read_text())

    def predict(
        self,
        context: pyfunc.PythonModelContext | None,
        model_input: Any,  # noqa: ANN401 - of pandas
        params: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Add."""
        scale = (params or {}).get("scale", 1)
        unit = ((context and context.model_config) or {}).get("unit", 0)
        return model_input["a"] + self.number * scale + unit


def double(model_input: Any) -> Any:  # noqa: ANN401 - of pandas
    """Give twice the column."""
    return model_input["a"] * 2


def code_of(client: str) -> str:
    """Give a file of code that says what the model is."""
    return dedent(
        f"""
        from {client}.models import set_model

        def triple(model_input):
            return model_input["a"] * 3

        set_model(triple)
        """
    )


LOADER = dedent(
    """
    from pathlib import Path

    class Times:
        def __init__(self, number):
            self.number = number

        def predict(self, data, params=None):
            return data["a"] * self.number

    def _load_pyfunc(path):
        return Times(float(Path(path).read_text()))
    """
)
