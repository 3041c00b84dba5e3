"""The lock's text: written, and taken apart again."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowrun.envs.conda.lock import CondaLock, python_version, variables_of

CONDA = """version: 7
packages:
- conda: https://conda.anaconda.org/conda-forge/noarch/python-dateutil-2.9.0-py_0.conda
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.7-h955ad1f_0.conda
"""
PIP = "# env/1\n# python 3.11.7\nclick==8.1.7 \\\n    --hash=sha256:ab\n"


@settings(suppress_health_check=[HealthCheck.too_slow])  # its tables of characters
@given(
    st.lists(st.tuples(st.text("aB_", min_size=1), st.text())),
    st.sampled_from(["", PIP]),
)
def test_lock_is_taken_apart_into_what_it_was_made_of(
    variables: list[tuple[str, str]], pip: str
) -> None:
    lock = CondaLock(CONDA, pip, tuple(variables))
    assert CondaLock.parse(lock.render()) == lock
    assert variables_of(lock.render()) == tuple(variables)


def test_python_is_told_from_packages_named_like_it() -> None:
    assert python_version(CondaLock(CONDA, PIP).render()) == "3.11.7"
    assert python_version(CondaLock(CONDA.replace("/python-3", "/cpython-3")).render()) is None
