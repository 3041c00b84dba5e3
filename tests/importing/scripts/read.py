"""Prints everything that MLflow's client reads at MLFLOW_TRACKING_URI, in a comparable form."""

import json

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import ViewType

client = MlflowClient()


def pages(search, **given):
    found, token = [], None
    while True:
        page = search(page_token=token, **given)
        found += page
        token = page.token
        if not token:
            return found


def point(metric):
    # A store in files gives infinity back, one in SQL the largest number.
    value = max(-1.7976931348623157e308, min(metric.value, 1.7976931348623157e308))
    return [
        metric.key,
        repr(metric.value if metric.value != metric.value else value),
        metric.timestamp,
        metric.step,
    ]


def tree(list_folder, path=""):
    found = {}
    for info in list_folder(path):
        found |= tree(list_folder, info.path) if info.is_dir else {info.path: info.file_size}
    return found


def show_run(run):
    info = run.info
    histories = {
        # Files keep a point twice that was logged twice.
        key: sorted({tuple(point(each)) for each in client.get_metric_history(info.run_id, key)})
        for key in run.data.metrics
    }
    return {
        "info": [
            info.run_name,
            info.user_id,
            info.status,
            info.start_time,
            info.end_time,
            info.lifecycle_stage,
        ],
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {
            key: point_of[0]
            for key, point_of in ((m.key, [point(m)]) for m in run.data._metric_objs)
        },
        "histories": histories,
        "datasets": [
            [each.dataset.to_dictionary(), sorted((tag.key, tag.value) for tag in each.tags)]
            for each in run.inputs.dataset_inputs
        ],
        "model inputs": [each.model_id for each in run.inputs.model_inputs],
        "model outputs": [[each.model_id, each.step] for each in run.outputs.model_outputs],
        "artifacts": tree(lambda path: client.list_artifacts(info.run_id, path)),
    }


def show_model(model):
    return {
        "info": [
            model.name,
            model.creation_timestamp,
            model.last_updated_timestamp,
            model.status.value,
        ],
        "of": [model.model_type or "", model.source_run_id, model.params, model.tags],
        "metrics": sorted(
            [*point(m), m.run_id, m.dataset_name, m.dataset_digest] for m in model.metrics or []
        ),
        "artifacts": tree(
            lambda path: client.list_logged_model_artifacts(model.model_id, path or None)
        ),
    }


def show_version(version):
    return [
        str(version.version),
        version.creation_timestamp,
        version.last_updated_timestamp,
        # A store that is read directly says None, one behind a server ''.
        version.description or "",
        version.run_id or "",
        version.run_link or "",
        version.current_stage,
        version.status,
        version.tags,
        sorted(version.aliases),
    ]


def show_registered(model):
    versions = [
        client.get_model_version(model.name, str(each.version))
        for each in client.search_model_versions(f"name = '{model.name}'")
    ]
    return {
        "info": [
            model.creation_timestamp,
            model.last_updated_timestamp,
            model.description or "",
            model.tags,
        ],
        "aliases": {alias: str(version) for alias, version in model.aliases.items()},
        "versions": sorted(show_version(each) for each in versions),
        "sources": sorted(each.source for each in versions if each.source.startswith("models:")),
    }


# First: it writes a file of its own into a model that lies on this machine.
loaded = mlflow.pyfunc.load_model("models:/wine-model@champion")
predicted = [round(float(y), 6) for y in loaded.predict(pd.DataFrame({"x": [4.0]}))]
everything = {"experiments": {}, "registered": {}, "predicted": predicted}
for experiment in pages(client.search_experiments, view_type=ViewType.ALL):
    if experiment.name == "Default":
        times = []
    else:
        times = [experiment.creation_time, experiment.last_update_time]
    runs = pages(
        client.search_runs, experiment_ids=[experiment.experiment_id], run_view_type=ViewType.ALL
    )
    models = pages(client.search_logged_models, experiment_ids=[experiment.experiment_id])
    everything["experiments"][experiment.name] = {
        "info": [experiment.lifecycle_stage, experiment.tags, times],
        "runs": {run.info.run_id: show_run(client.get_run(run.info.run_id)) for run in runs},
        "models": {model.model_id: show_model(model) for model in models},
    }
for model in pages(client.search_registered_models):
    everything["registered"][model.name] = show_registered(client.get_registered_model(model.name))
print(json.dumps(everything, sort_keys=True, indent=1))
