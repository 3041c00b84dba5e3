"""Where packages come from: uv's settings, or pip's in uv's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs.index_settings import forbids_index, settings_digest, uv_variables
from flowrun.errors import EnvError
from tests.envs.conftest import EnvSpace

INDEX = "https://user:pw@index.example/simple"


@dataclass(frozen=True)
class Setting:
    variables: Mapping[str, str]
    expected: Mapping[str, str]
    pip_conf: str = ""
    uv_toml: str = ""


SETTINGS = {
    "nothing set": Setting({}, {}),
    "pip's variables": Setting(
        {
            "PIP_INDEX_URL": INDEX,
            "PIP_EXTRA_INDEX_URL": "https://a https://b",
            "PIP_FIND_LINKS": "/x /y",
            "PIP_CERT": "/ca.pem",
            "PIP_TRUSTED_HOST": "a b",
        },
        {
            "UV_DEFAULT_INDEX": INDEX,
            "UV_EXTRA_INDEX_URL": "https://a https://b",
            "UV_INDEX_STRATEGY": "unsafe-best-match",
            "UV_FIND_LINKS": "/x,/y",
            "SSL_CERT_FILE": "/ca.pem",
            "UV_INSECURE_HOST": "a b",
        },
    ),
    "pip.conf": Setting(
        {},
        {
            "UV_DEFAULT_INDEX": "https://i",
            "UV_EXTRA_INDEX_URL": "https://a https://b",
            "UV_INDEX_STRATEGY": "unsafe-best-match",
        },
        "[global]\nindex-url = https://i\n[install]\nextra_index_url =\n    https://a\n    https://b\n",
    ),
    "a variable goes before a file": Setting(
        {"PIP_INDEX_URL": "https://v"},
        {"UV_DEFAULT_INDEX": "https://v"},
        "[global]\nindex-url = https://f\n",
    ),
    "no files for pip": Setting(
        {"PIP_CONFIG_FILE": "/dev/null"}, {}, "[global]\nindex-url = https://f\n"
    ),
    "a pip.conf that is none": Setting({}, {}, "index-url = https://f\n"),
    "uv's own variable wins over all of pip's": Setting(
        {"UV_INDEX_URL": "https://u", "PIP_EXTRA_INDEX_URL": "https://a", "PIP_CERT": "/ca.pem"},
        {"UV_INDEX_URL": "https://u", "SSL_CERT_FILE": "/ca.pem"},
    ),
    "uv.toml wins over all of pip's": Setting(
        {"PIP_INDEX_URL": "https://p"}, {}, uv_toml='[[index]]\nurl = "https://t"\n'
    ),
    "what belongs to other environments": Setting(
        {"VIRTUAL_ENV": "/v", "PYTHONPATH": "/p", "UV_PROJECT_ENVIRONMENT": "/e"}, {}
    ),
}


@pytest.mark.parametrize("case", SETTINGS.values(), ids=SETTINGS)
def test_machine_set_up_for_pip_works(case: Setting, tmp_path: Path) -> None:
    for name, text in {"pip/pip.conf": case.pip_conf, "uv/uv.toml": case.uv_toml}.items():
        (tmp_path / ".config" / name).parent.mkdir(parents=True)
        (tmp_path / ".config" / name).write_text(text)
    always = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    # The machine's own /etc/pip.conf may name a certificate.
    variables = {"SSL_CERT_FILE": "", **always, **case.variables}
    if "PIP_CERT" in case.variables:
        del variables["SSL_CERT_FILE"]
    found = uv_variables(variables)
    ours = {"NO_COLOR", "UV_NO_PROGRESS", "UV_NO_WRAP", *always}
    kept = {name: text for name, text in found.items() if name not in ours}
    assert {k: v for k, v in kept.items() if v and not k.startswith("PIP_")} == case.expected


def test_renewed_token_keeps_the_environment() -> None:
    first = settings_digest({"UV_INDEX": "https://me:token-1@index.example/simple"})
    second = settings_digest({"UV_INDEX": "https://me:token-2@index.example/simple"})
    assert first == second


def test_another_index_asks_again() -> None:
    first = settings_digest({"UV_INDEX": "https://one.example/simple"})
    assert first != settings_digest({"UV_INDEX": "https://two.example/simple"})


def test_changed_constraint_file_asks_again(tmp_path: Path) -> None:
    limits = tmp_path / "limits.txt"
    limits.write_text("alpha<2")
    first = settings_digest({"UV_CONSTRAINT": str(limits)})
    limits.write_text("alpha<3")
    assert settings_digest({"UV_CONSTRAINT": str(limits)}) != first


NO_INDEX = {
    "pip's variable": ({"PIP_NO_INDEX": "yes"}, "", True),
    "pip.conf": ({}, "[install]\nno-index = true\n", True),
    "a variable goes before a file": ({"PIP_NO_INDEX": "0"}, "[install]\nno-index = true\n", False),
    "uv's settings win": ({"PIP_NO_INDEX": "1", "UV_DEFAULT_INDEX": "https://u"}, "", False),
    "nothing set": ({}, "", False),
}


@pytest.mark.parametrize(("variables", "pip_conf", "forbidden"), NO_INDEX.values(), ids=NO_INDEX)
def test_index_is_forbidden_as_pip_is_told(
    variables: dict[str, str], pip_conf: str, forbidden: bool, tmp_path: Path
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(pip_conf)
    always = {"XDG_CONFIG_DIRS": str(tmp_path / "none"), "PIP_CONFIG_FILE": str(file)}
    assert forbids_index({**always, **variables}) is forbidden


def test_forbidden_index_is_not_asked(space: EnvSpace) -> None:
    space.write({"python_env.yaml": "dependencies: [six]"})
    with pytest.raises(EnvError, match="there is no package 'six'"):
        space.ensure()
    assert not list(Path(space.variables["UV_CACHE_DIR"]).glob("simple-*/*/six.rkyv"))
