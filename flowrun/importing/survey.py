"""What an import would take over, without writing anything."""

from __future__ import annotations

from flowrun.importing.importer import Watch
from flowrun.importing.naming import Naming, plan_import
from flowrun.importing.source import Source
from flowrun.importing.target import Target
from flowrun.importing.verifying import RUN_SIZES, Points, Verdict
from flowrun.tracking.sql.part import chunks


def survey(source: Source, target: Target, naming: Naming, watch: Watch) -> Verdict:
    """Read everything once and count it; `here` is what is there already.

    Raises:
        AlreadyExistsError: names are taken by other things.
    """
    verdict = Verdict()
    for place in plan_import(source, target, naming).places:
        experiment_id = place.experiment.experiment_id
        verdict.count("experiments", 1, int(place.target_id is not None))
        run_ids = list(source.run_roots(experiment_id))
        known = target.tracking.known_runs(run_ids)
        verdict.count("runs", len(run_ids), len(known))
        watch.begin(f"runs of {place.name}", len(run_ids))
        for part in chunks(run_ids, 100):
            for found in source.runs(experiment_id, part):
                points = Points.of(found.history, verdict.differences.append, found.run.info.run_id)
                verdict.count("metric points", points.count if points else 0, 0)
                for kind, size in RUN_SIZES.items():
                    verdict.count(kind, size(found.run), 0)
            watch.add(len(part))
        models = [each.model.model_id for each in source.logged_models(experiment_id)]
        verdict.count("logged models", len(models), len(target.tracking.known_models(models)))
    for registered in source.registered_models():
        name = naming.new_name(registered.model.name)
        is_here = target.registry.creation_time_of(name) is not None
        verdict.count("registered models", 1, int(is_here))
        verdict.count("model versions", len(registered.versions), 0)
    return verdict
