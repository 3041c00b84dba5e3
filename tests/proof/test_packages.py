"""What locks say an environment consists of."""

from __future__ import annotations

from flowrun.proof.packages import Package, PackageKind, packages_of
from flowrun.proof.recorded import RecordedEnv

A, B = "a" * 64, "b" * 64
VIRTUALENV = f"""\
# env/1
# python 3.11.7 cpython-311-x86_64-linux-gnu
Click==8.1.7 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
scikit-learn[extra]==1.5.0 ; python_version > "3" \\
    --hash=sha256:{A}
tool @ git+https://host/tool.git@0123456789
./pkg[x]  # sha256:{B} of its files
"""
CONDA = f"""\
# env/1
# variable GREETING "hello"
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.7-h1_0.conda
      - conda: https://conda.anaconda.org/conda-forge/noarch/six-1.16.0-py_1.tar.bz2
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.7-h1_0.conda
  sha256: {A}
  md5: {"c" * 32}
- conda: https://conda.anaconda.org/conda-forge/noarch/six-1.16.0-py_1.tar.bz2
  sha256: {B}
# pip
# click==8.1.7 \\
#     --hash=sha256:{A}
"""
IMAGE = f"""\
# flowrun image lock 1
image: python:3.12-slim
platform: linux/amd64
digest: registry.example:5000/library/python@sha256:{A}
"""
LOCAL = """\
# env/1
# the caller's interpreter, recorded but not pinned: /usr/bin/python3
# python 3.12.1 linux-x86_64
click==8.1.7
"""


def packages(backend: str, lock: str | None) -> list[Package]:
    return list(packages_of(RecordedEnv(backend, "", lock, "python:3.12-slim")))


def test_a_virtualenv_is_its_python_its_packages_and_the_projects_own_trees() -> None:
    found = packages("virtualenv", VIRTUALENV)
    assert found == [
        Package(PackageKind.PYTHON, "python", "3.11.7"),
        Package(PackageKind.PYPI, "click", "8.1.7", (A, B)),
        Package(PackageKind.PYPI, "scikit-learn", "1.5.0", (A,)),
        Package(
            PackageKind.PYPI,
            "tool",
            "git+https://host/tool.git@0123456789",
            (),
            "git+https://host/tool.git@0123456789",
        ),
        Package(PackageKind.TREE, "./pkg[x]", f"sha256:{B}", (B,)),
    ]
    assert [each.purl for each in found][:2] == [
        "pkg:generic/python@3.11.7",
        "pkg:pypi/click@8.1.7",
    ]
    assert found[-1].purl is None


def test_a_conda_environment_is_its_packages_each_once_with_the_hash_of_its_archive() -> None:
    found = packages("conda", CONDA)
    assert [(each.kind, each.name, each.version, each.sha256s) for each in found] == [
        (PackageKind.CONDA, "python", "3.11.7", (A,)),
        (PackageKind.CONDA, "six", "1.16.0", (B,)),
        (PackageKind.PYPI, "click", "8.1.7", (A,)),
    ]
    assert found[1].purl == "pkg:conda/six@1.16.0?build=py_1"
    assert found[1].url == "https://conda.anaconda.org/conda-forge/noarch/six-1.16.0-py_1.tar.bz2"


def test_a_container_is_its_image_by_digest() -> None:
    (image,) = packages("docker", IMAGE)
    assert image.sha256s == (A,)
    assert image.purl == f"pkg:docker/registry.example%3A5000/library/python@sha256:{A}"
    (built,) = packages("docker", f"# flowrun image lock 1\nimage: mine\nid: sha256:{B}\n")
    assert (built.name, built.sha256s) == ("python:3.12-slim", (B,))


def test_the_callers_own_interpreter_is_what_was_installed_there() -> None:
    assert [(each.name, each.version) for each in packages("local", LOCAL)] == [
        ("python", "3.12.1"),
        ("click", "8.1.7"),
    ]


def test_without_a_lock_nothing_is_known() -> None:
    assert packages("virtualenv", None) == []
