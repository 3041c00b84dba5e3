"""The graph of a crate's metadata file: entities by id, which refer to each other.

Source: RO-Crate 1.1; JSON-LD terms of the Workflow Run RO-Crate collection, 0.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from flowrun.plan.draw import Json
from flowrun.proof.canonical import JsonObject, known

METADATA = "ro-crate-metadata.json"
_TERMS = "https://w3id.org/ro/terms/workflow-run#"
_USED_TERMS = (
    "ContainerImage",
    "DockerImage",
    "ParameterConnection",
    "connection",
    "containerImage",
    "registry",
    "resourceUsage",
    "sha256",
    "sourceParameter",
    "tag",
    "targetParameter",
)
_MORE_TERMS: JsonObject = {
    "buildInstructions": "https://codemeta.github.io/terms/buildInstructions",
    **{term: _TERMS + term for term in _USED_TERMS},
}
"""What other contexts say of the terms that are used: a reader needs to know one of them only."""
CONTEXT: list[Json] = ["https://w3id.org/ro/crate/1.1/context", _MORE_TERMS]


def ref(entity_id: str) -> JsonObject:
    """Give a reference to an entity."""
    return {"@id": entity_id}


def refs(entity_ids: Iterable[str]) -> list[Json]:
    """Give references to entities, each once."""
    return [ref(entity_id) for entity_id in dict.fromkeys(entity_ids)]


def local_id(*parts: str) -> str:
    """Give the id of something that is no file: `#step/train%5Blr=0.1%5D`."""
    return "#" + "/".join(quote(part, safe="=,:@") for part in parts)


def path_id(path: str) -> str:
    """Give the id of a file of the crate: its path as a relative URI."""
    return quote(path, safe="/=,@+")


class Graph:
    """The entities of one crate; adding one again adds what is new."""

    def __init__(self) -> None:
        self._entities: dict[str, JsonObject] = {}

    def add(self, entity_id: str, types: str | list[Json], facts: Mapping[str, Json]) -> str:
        """Add an entity and give its id; facts that are None or empty are left out."""
        entity = self._entities.setdefault(entity_id, {"@id": entity_id, "@type": types})
        entity |= {name: value for name, value in known(facts).items() if value not in ([], "")}
        return entity_id

    def link(self, entity_id: str, name: str, targets: Iterable[str]) -> None:
        """Let an entity refer to others as well, each once."""
        entity = self._entities[entity_id]
        present = entity.get(name)
        listed = present if isinstance(present, list) else [present] if present else []
        added = [each for each in refs(targets) if each not in listed]
        if listed or added:
            entity[name] = [*listed, *added]

    def is_a(self, entity_id: str, kind: str) -> bool:
        """Tell whether an entity is of a type, and of no other."""
        return self._entities[entity_id]["@type"] == kind

    def document(self) -> JsonObject:
        """Give the whole metadata file; a list of one is written as that one."""
        entities: list[Json] = [
            {name: _single(value) for name, value in entity.items()}
            for entity in self._entities.values()
        ]
        return {"@context": CONTEXT, "@graph": entities}


def _single(value: Json) -> Json:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
