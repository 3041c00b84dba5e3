"""Left out where PyTorch is not: `tests/models/test_with_torch.py` makes an environment with it."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
