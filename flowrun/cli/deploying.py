"""The part of `flowrun models` that applies models: their commands, by name."""

from __future__ import annotations

import typer

from flowrun.cli import model_images, model_predict, model_serving

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_MLFLOWS = {"help_option_names": ["--help"]}  # -h is a flag of theirs

app.command("serve", context_settings=_MLFLOWS)(model_serving.serve_command)
app.command("predict", context_settings=_MLFLOWS)(model_predict.predict_command)
app.command("prepare-env")(model_predict.prepare_command)
app.command("build-docker")(model_images.build_docker_command)
app.command("generate-dockerfile")(model_images.generate_dockerfile_command)
app.command("generate-kubernetes")(model_images.generate_kubernetes_command)
