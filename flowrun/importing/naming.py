"""Which experiment goes where: the rules for names that are taken.

An experiment or registered model is the one that was imported before if name and creation time
(to the millisecond) are the same: then the import goes on there. MLflow's own `Default` goes into
the store's `Default`. Any other thing of the same name is somebody else's, and nothing is imported
until the user says what to do.
"""

from __future__ import annotations

from collections.abc import Callable

from flowrun.errors import AlreadyExistsError
from flowrun.importing.source import Source
from flowrun.importing.target import Target
from flowrun.tracking.entities import Experiment
from flowrun.valueclass import valueclass

_DEFAULT = "Default"


@valueclass
class Naming:
    """What the user chose about names."""

    prefix: str = ""
    """Put before the names of experiments and registered models."""
    merges: bool = False
    """Runs may go into experiments of the same name that were not imported."""

    def new_name(self, name: str) -> str:
        """Give the name that something gets here."""
        return self.prefix + name


@valueclass
class Place:
    """An experiment of the source, and where it goes: None is a new experiment."""

    experiment: Experiment
    name: str
    target_id: str | None


@valueclass
class Plan:
    """Where everything goes."""

    places: tuple[Place, ...]


def plan_import(source: Source, target: Target, naming: Naming) -> Plan:
    """Find out where everything goes.

    Raises:
        AlreadyExistsError: names are taken, all of them told.
    """
    taken: list[str] = []
    places = tuple(
        _place(experiment, target, naming, taken.append) for experiment in source.experiments()
    )
    for found in source.registered_models():
        name = naming.new_name(found.model.name)
        created = target.registry.creation_time_of(name)
        if created not in {None, found.model.creation_time_ms}:
            taken.append(f"registered model '{name}'")
    if taken:
        raise AlreadyExistsError(
            f"{', '.join(taken)}: there is another one of this name here already; "
            "nothing was imported",
            "Put something before the names by --prefix, or let experiments of the same name "
            "take the runs in by --merge.",
        )
    return Plan(places)


def _place(
    experiment: Experiment, target: Target, naming: Naming, on_taken: Callable[[str], None]
) -> Place:
    name = naming.new_name(experiment.name)
    target_id, is_same = target.tracking.find_experiment(name, experiment.creation_time_ms)
    if target_id is not None and not (is_same or naming.merges or name == _DEFAULT):
        on_taken(f"experiment '{name}'")
    return Place(experiment, name, target_id)
