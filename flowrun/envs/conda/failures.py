"""Says in plain words why conda packages can't be had, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowrun.envs.conda.channels import Channels, masked, names_of
from flowrun.envs.conda.file import Spec
from flowrun.errors import EnvError
from flowrun.spec.problems import listed

_NETWORK = re.compile(
    r"error sending request for url \((?P<url>[^)]+)\)|dns error|timed out|Connection refused"
)
_NO_CHANNEL = re.compile(r"could not find subdir '\S+' in channel '(?P<url>[^']+)'")
_STATUS = re.compile(r"HTTP status \w+ error \((?P<status>\d+)[^)]*\) for url \((?P<url>[^)]+)\)")
_FULL = re.compile(r"No space left on device|os error 28|Disk quota exceeded")
_MISMATCH = re.compile(r"hash mismatch", re.IGNORECASE)
_SOLVER_INTRODUCTION = re.compile(r"^Cannot solve the request because of:\s*")
_MOST_VERSIONS = 5


class RattlerError(EnvError):
    """Something that py-rattler could not do; the message is its own."""


class ChangedPackageError(EnvError):
    """An archive is another one than the index or the lock says."""

    def __init__(self, url: str, expected: str, found: str) -> None:
        super().__init__(
            f"{url} is not the package that it should be: its sha256 is {found}, not {expected}.",
            "Somebody changed the archive, or the channel's index is old. Nothing was installed.",
        )


class UnsolvableError(EnvError):
    """No packages of the channels fit all that is asked for."""

    def __init__(self, reason: str, versions: Mapping[str, Sequence[str]]) -> None:
        super().__init__(reason)
        self.versions = versions
        """Each name that is asked for, with the versions in the channels."""


def explained(
    error: EnvError, env: str, specs: Sequence[Spec], channels: Channels, log: Path
) -> EnvError:
    """Return the error to show.

    Args:
        env: the environment as people know it (`env 3f9c2a1d (conda.yaml)`).
    """
    if isinstance(error, UnsolvableError):
        return _unsolvable(error, env, specs, channels)
    if not isinstance(error, RattlerError):
        return EnvError(f"{env}: {masked(error.message)}", error.hint)
    message, hint = _reason(masked(error.message))
    return EnvError(f"{env}: {message}", f"{hint} Log: {log}".lstrip())


def _unsolvable(
    error: UnsolvableError, env: str, specs: Sequence[Spec], channels: Channels
) -> EnvError:
    names = names_of(channels.every)
    unknown = [spec for spec in specs if not error.versions.get(spec.name)]
    if unknown:
        told = ", ".join(f"'{spec}' ({_place(spec)})" for spec in unknown)
        return EnvError(
            f"{env}: there is no package {told} in {names}.",
            "Is the name right, and is it a package of these channels? One from the Python package "
            "index belongs into the `pip:` section.",
        )
    reason = _SOLVER_INTRODUCTION.sub("", masked(error.message)).strip()
    concerned = [spec for spec in specs if re.search(rf"\b{re.escape(spec.name)}\b", reason)]
    lines = [f"{env}: no packages of {names} fit together:", reason]
    lines += [f"{_place(each)}: {each} ({_versions(error, each)})" for each in concerned]
    hint = "Ask for other versions, or add a channel that has them."
    if "__cuda" in reason:
        hint = (
            "This machine has no NVIDIA driver of that version; CONDA_OVERRIDE_CUDA=12.4 takes it "
            "to have one."
        )
    return EnvError("\n".join(lines), hint)


def _versions(error: UnsolvableError, spec: Spec) -> str:
    found = list(dict.fromkeys(error.versions[spec.name]))
    return f"there is {listed(found, most=_MOST_VERSIONS)}"


def _reason(text: str) -> tuple[str, str]:
    if _FULL.search(text):
        return "the disk is full.", "Free some space; nothing half-made is left behind."
    if _MISMATCH.search(text):
        return (
            f"a package is not the one that it should be:\n{text}",
            "Somebody changed the archive, or the channel's index is old. Nothing was installed.",
        )
    if match := _STATUS.search(text):
        if match["status"] in {"401", "403"}:
            return (
                f"{match['url']} refuses the login.",
                "Check the channel's user, password or token in the settings.",
            )
        return f"{match['url']} answers {match['status']}.", "Is the channel's address right?"
    if match := _NO_CHANNEL.search(text):
        return (
            f"there is no conda channel at {match['url']}",
            "Is the name right? What names mean: FLOWRUN_CONDA_CHANNEL_ALIAS, "
            "FLOWRUN_CONDA_DEFAULT_CHANNELS and FLOWRUN_CONDA_MIRRORS.",
        )
    if match := _NETWORK.search(text):
        where = match["url"] or "a channel"
        return f"no answer from {where}.", "Check the network and the channels' addresses."
    return text.strip(), ""


def _place(spec: Spec) -> str:
    return f"{spec.mark.file}:{spec.mark.line}"
