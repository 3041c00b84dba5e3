"""The page at `/`: what the model takes and gives, and a form to try it.

All that a model says is hostile text: the template escapes it, and the page's policy lets nothing
run or be fetched but the server's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from flowrun.models.schema import ColSpec, ParamSpec, TensorSpec
from flowrun.models.signature import ModelSignature
from flowrun.server.messages import Headers
from flowrun.valueclass import valueclass

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NO_EXAMPLE = '{"dataframe_split": {"columns": [], "data": [[]]}}'
_MOST_TEXT = 20_000


@valueclass
class Page:
    """The page's files, and how it is put together."""

    template: Template
    script: bytes
    styles: bytes
    name: str
    """What the model is called: the URI that it was asked for by."""

    @classmethod
    def read(cls, folder: Path, name: str) -> Page:
        """Read the files of the templates' folder."""
        environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined
        )
        return cls(
            environment.get_template("try.html.j2"),
            (folder / "try.js").read_bytes(),
            (folder / "try.css").read_bytes(),
            name,
        )

    @property
    def headers(self) -> Headers:
        """What browsers are told of the page."""
        return [
            (b"content-security-policy", _POLICY),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]

    def render(self, about: Mapping[str, Any]) -> bytes:
        """Give the page as UTF-8.

        Args:
            about: what a process has said of its model.
        """
        said = about.get("signature")
        signature = ModelSignature.from_dict(said) if said else None
        inputs, outputs, params = (
            (signature.inputs, signature.outputs, signature.params)
            if signature
            else (None, None, None)
        )
        text = self.template.render(
            name=self.name,
            about=about,
            example=_pretty(about.get("example") or _NO_EXAMPLE),
            inputs=[_row(spec) for spec in inputs or ()],
            outputs=[_row(spec) for spec in outputs or ()],
            params=[_param(spec) for spec in params.params] if params else [],
        )
        return text.encode()


def _row(spec: ColSpec | TensorSpec) -> tuple[str, str, str]:
    name = "" if spec.name is None else str(spec.name)
    if isinstance(spec, TensorSpec):
        return name, f"{spec.type} {list(spec.shape)}", ""
    return name, _type(spec.kind), "" if spec.required else "optional"


def _param(spec: ParamSpec) -> tuple[str, str, str]:
    kind = _type(spec.kind) + (" list" if spec.shape else "")
    return spec.name, kind, f"default {json.dumps(spec.default, default=str)}"


def _type(kind: object) -> str:
    value = getattr(kind, "value", None)
    return str(value) if value is not None else str(kind)


def _pretty(text: str) -> str:
    """Give a request as people read and change it: rows with the names of their columns."""
    said = json.loads(text)
    split = said.get("dataframe_split")
    if isinstance(split, dict) and split.get("columns"):
        rows = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
        said = {"dataframe_records": rows, **{k: v for k, v in said.items() if k == "params"}}
    pretty = json.dumps(said, indent=1, ensure_ascii=False)
    return pretty if len(pretty) < _MOST_TEXT else text
