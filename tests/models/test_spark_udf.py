"""What is refused before Spark is asked; all else needs Spark itself."""

from __future__ import annotations

import pytest

import flowrun.models.flavors.pyfunc as flowrun_pyfunc
from flowrun.errors import UnsupportedError


def test_environment_manager_is_refused_since_executors_have_their_own_python() -> None:
    with pytest.raises(UnsupportedError, match="no environment manager 'virtualenv'"):
        flowrun_pyfunc.spark_udf(None, "models:/wine/1", env_manager="virtualenv")
