"""What stands before the `@` of a URL: given to one host, never stored, logged or shown."""

from __future__ import annotations

from flowrun.valueclass import valueclass


@valueclass
class Credentials:
    """What a URL held before its `@`, for one host only: `scope` is `https://host[:port]`."""

    scope: str
    username: str
    password: str = ""

    def __repr__(self) -> str:
        """Show the host, never the secret."""
        return f"Credentials({self.scope!r})"

    def variables(self, taken: int) -> dict[str, str]:
        """The environment that makes git use these, as settings number `taken` and up.

        Git asks a helper that lives in these variables and in this host's name only. The empty
        helper before it turns the user's own off, which would store what was accepted.
        """
        helper = (
            '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
            '"$FLOWRUN_GIT_USERNAME" "$FLOWRUN_GIT_PASSWORD"; :; }; f'
        )
        settings = (("credential.helper", ""), (f"credential.{self.scope}.helper", helper))
        named = {"FLOWRUN_GIT_USERNAME": self.username, "FLOWRUN_GIT_PASSWORD": self.password}
        for number, (key, value) in enumerate(settings, start=taken):
            named |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return named | {"GIT_CONFIG_COUNT": str(taken + len(settings))}


def without_credentials(url: str) -> str:
    """A URL as others wrote it, without what stands before its `@`; ssh's `git@` stays."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    kept = f"{user.partition(':')[0]}@" if at and scheme.endswith("ssh") else ""
    return f"{scheme}://{kept}{host}{slash}{path.partition('?')[0]}"
