"""Takes the values of secrets, and what URLs say before their `@`, out of texts."""

from __future__ import annotations

from collections.abc import Iterable

from flowrun.envs.masking import mask as mask_credentials
from flowrun.valueclass import valueclass

MASK = "***"
MIN_LINE_CHARS = 4
"""A shorter line of a secret of several lines (`{`, say) tells nothing and is everywhere."""


@valueclass
class Masker:
    """Masks every secret of one run, whichever step it is for: a step may hand it on."""

    words: tuple[str, ...] = ()
    """What is masked, the longest first."""

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Masker:
        """Make one for the values of secrets; each line of one is secret by itself."""
        words: set[str] = set()
        for secret in secrets:
            lines = [line.strip() for line in secret.splitlines()]
            words |= {secret, *(line for line in lines if len(line) >= MIN_LINE_CHARS)}
        return cls(tuple(sorted(words - {""}, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """Give the text as it may be kept and shown."""
        for word in self.words:
            text = text.replace(word, MASK)
        return mask_credentials(text) if "@" in text else text
