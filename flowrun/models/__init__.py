"""Logged models: the MLmodel file, where models live, and saving and loading them by flavor."""

import importlib
import os
import sys

# In a step, flowrun is a light copy that may have an installed one behind it: see flowrun/__init__.
__path__ = [os.path.join(folder, "models") for folder in sys.modules["flowrun"].__path__]

__all__ = [
    "EvaluationArtifact",
    "EvaluationMetric",
    "EvaluationResult",
    "MetricThreshold",
    "ModelInfo",
    "ModelSignature",
    "evaluate",
    "infer_signature",
    "make_metric",
    "set_model",
    "validate_evaluation_results",
]

_HOMES = {
    "EvaluationArtifact": "flowrun.models.evaluation.result",
    "EvaluationMetric": "flowrun.models.evaluation.own_metrics",
    "EvaluationResult": "flowrun.models.evaluation.result",
    "MetricThreshold": "flowrun.models.evaluation.limits",
    "ModelInfo": "flowrun.models.log",
    "ModelSignature": "flowrun.models.signature",
    "evaluate": "flowrun.models.evaluation.evaluate",
    "infer_signature": "flowrun.models.signature",
    "make_metric": "flowrun.models.evaluation.own_metrics",
    "set_model": "flowrun.models.flavors.scripts",
    "validate_evaluation_results": "flowrun.models.evaluation.evaluate",
}


def __getattr__(name: str) -> object:
    """Load what is asked for from the module it lives in."""
    if name not in __all__:
        raise AttributeError(f"module 'flowrun.models' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
