"""A model card in Markdown: what a version is for, takes, gives, is worth and comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from flowrun.errors import FlowrunError
from flowrun.models.mlmodel import MLMODEL, read_yaml
from flowrun.proof.lineage import Lineage, lineage_of
from flowrun.registry.entities import ModelVersion
from flowrun.stores import Stores

_MAX_METRICS = 100
_MARKUP = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>|#"})


def model_card(stores: Stores, version: ModelVersion) -> str:
    """Give the card of a version.

    Descriptions are Markdown and are taken as they are written; everything else is data, and can't
    become markup.
    """
    model = stores.registry.get_registered_model(version.name)
    lineage = lineage_of(stores, version)
    parts = [
        f"# {_plain(version.name)} {version.version}\n",
        *_facts(version, lineage),
        *_section("Intended use", [model.description.strip()]),
        *_section("About this version", [version.description.strip()]),
        *_section("Signature", _signature(stores, version)),
        *_section("Metrics", _metrics(lineage.metrics)),
        *_section("Evaluation", _evaluation(stores, version)),
        *_section("Lineage", _lineage(lineage)),
        *_section("Parameters", _pairs(lineage.steps[0].params if lineage.steps else {})),
        *_section("History", _history(stores, version)),
        *_section("Load it", _loading(version)),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _facts(version: ModelVersion, lineage: Lineage) -> Iterator[str]:
    aliases = ", ".join(f"@{_plain(alias)}" for alias in version.aliases)
    rows = {
        "Stage": version.stage.value,
        "Aliases": aliases,
        "Made": f"{_day(version.creation_time_ms)} by {_plain(version.user_id or 'nobody known')}",
        "sha256": f"`{lineage.sha256}`" if lineage.sha256 else "",
    }
    yield from _table(("", ""), [(name, text) for name, text in rows.items() if text])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Give a section; none without text."""
    if any(lines):
        yield f"\n## {title}\n"
        yield from lines


def _signature(stores: Stores, version: ModelVersion) -> list[str]:
    """Read what the model takes and gives; nothing if its files can't be read any more."""
    try:
        with stores.open_artifacts(version.download_uri).open(MLMODEL) as file:
            said = read_yaml(file.read().decode("utf-8", "replace"), MLMODEL)
    except FlowrunError:
        return []
    signature = said.get("signature") if isinstance(said, dict) else None
    if not isinstance(signature, dict):
        return []
    rows = [
        row
        for part in ("inputs", "outputs", "params")
        for row in _fields(part.removesuffix("s"), signature.get(part))
    ]
    return list(_table(("", "name", "type", ""), rows)) if rows else []


def _fields(part: str, text: object) -> Iterator[tuple[str, str, str, str]]:
    try:
        fields = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return
    for each in fields if isinstance(fields, list) else []:
        if isinstance(each, dict):
            tensor = each.get("tensor-spec")
            kind = str(each.get("type", ""))
            if isinstance(tensor, dict):
                kind = f"{tensor.get('dtype')} tensor {tensor.get('shape')}"
            note = "" if each.get("required", True) else "optional"
            if "default" in each:
                note = f"default {each['default']}"
            yield part, _plain(str(each.get("name") or "")), _plain(kind), _plain(note)


def _metrics(metrics: Mapping[str, float]) -> list[str]:
    rows = [(_plain(name), f"{metrics[name]:.6g}") for name in sorted(metrics)[:_MAX_METRICS]]
    return list(_table(("metric", "value"), rows)) if rows else []


def _evaluation(stores: Stores, version: ModelVersion) -> list[str]:
    """Give the metrics that other runs than the one that made it logged for the model."""
    if version.model_id is None:
        return []
    try:
        model = stores.tracking.get_logged_model(version.model_id)
    except FlowrunError:
        return []
    rows = [
        (
            _plain(metric.key),
            f"{metric.value:.6g}",
            _plain(f"{metric.dataset_name or ''} {metric.dataset_digest or ''}"),
            f"`{metric.run_id}`",
        )
        for metric in sorted(model.metrics, key=lambda each: (each.run_id or "", each.key))
        if metric.run_id != version.run_id
    ]
    return list(_table(("metric", "value", "data", "run"), rows[:_MAX_METRICS])) if rows else []


def _lineage(lineage: Lineage) -> list[str]:
    dirty = " with changes that are not committed" if lineage.is_dirty else ""
    facts = {
        "source": _plain(lineage.source or ""),
        "commit": f"`{lineage.commit}`{dirty}" if lineage.commit else "",
        "tree": f"`{lineage.tree}`" if lineage.tree else "",
        "pipeline": f"run `{lineage.pipeline_run_id}`" if lineage.pipeline_run_id else "",
    }
    lines = list(_table(("", ""), [(name, text) for name, text in facts.items() if text]))
    rows = [
        (
            _plain(step.step or step.entry_point),
            f"`{step.run_id}`",
            _plain(f"{step.env_backend or ''} {(step.env_key or '')[:12]}".strip()),
            ", ".join(f"{_plain(k)} `{v['sha256'][:12]}`" for k, v in step.inputs.items()),
        )
        for step in lineage.steps
    ]
    if rows:
        lines += ["", *_table(("step", "run", "environment", "inputs"), rows)]
    return lines


def _history(stores: Stores, version: ModelVersion) -> list[str]:
    rows = [
        (
            _day(line.time_ms),
            _plain(f"@{line.alias}" if line.alias else f"{line.before} to {line.after}"),
            _plain(line.user_id),
            _plain(line.reason),
        )
        for line in stores.registry.get_history(version.name, version.version)
    ]
    return list(_table(("when", "what", "who", "why"), rows)) if rows else []


def _loading(version: ModelVersion) -> list[str]:
    uri = f"models:/{version.name}/{version.version}"
    return ["```python", "import mlflow", f"model = mlflow.pyfunc.load_model({uri!r})", "```"]


def _pairs(values: Mapping[str, str]) -> list[str]:
    rows = [(_plain(name), _plain(value)) for name, value in values.items()]
    return list(_table(("parameter", "value"), rows)) if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _plain(text: str) -> str:
    """Give a text on one line whose characters mean nothing to Markdown."""
    return " ".join(text.translate(_MARKUP).split())


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
