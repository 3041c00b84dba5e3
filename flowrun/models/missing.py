"""What to tell who asks for a model that is not there: which ones are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NO_SUCH_MODEL = "`flowrun models list` shows the registered models that there are."


def what_there_is(name: str, newest: Iterable[str], aliases: Mapping[str, str]) -> str:
    """Say which versions a registered model has.

    Args:
        name: of the model, which exists.
        newest: the numbers of some of its versions, the newest among them.
        aliases: to the versions that they point to.
    """
    numbers = [int(number) for number in newest]
    if not numbers:
        return f"The registered model '{name}' has no version yet."
    named = ", ".join(f"@{alias} is {version}" for alias, version in sorted(aliases.items()))
    return (
        f"The newest version of '{name}' is {max(numbers)}{f'; {named}' if named else ''}. "
        f"`flowrun models show {name}` lists them."
    )
