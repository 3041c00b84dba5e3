"""Experiments and runs, after MLflow's data model."""

import os
import sys

# In a step, flowrun is a light copy that may have an installed one behind it: see flowrun/__init__.
__path__ = [os.path.join(folder, "tracking") for folder in sys.modules["flowrun"].__path__]
