"""Names for runs and models that were given none: `adjective-noun-number`, as MLflow makes them."""

from __future__ import annotations

import zlib

_ADJECTIVES = (
    "able agile amber ample azure bold brave breezy bright brisk calm candid clear clever cosmic "
    "crisp curious dapper daring deft eager early earnest easy fair fancy fleet fond free fresh "
    "gentle glad golden grand handy happy hardy hearty honest humble jolly keen kind lively loyal "
    "lucid lucky mellow merry mighty modest neat nimble noble patient placid plucky polite proud "
    "quick quiet rapid ready royal rustic sage serene sharp silent silver sleek smart smooth snug "
    "solar sound spry stable steady still sturdy sunny swift tidy tough trusty upbeat vivid warm "
    "wary wise witty young zesty"
)
_NOUNS = (
    "alder ash aspen badger bass bay beech birch brook canyon cedar cliff cloud comet coral cove "
    "crane creek dale dawn deer delta dove dune eagle elm ember falcon fern finch fjord flint fox "
    "frost glade grove gull hare harbor hawk hazel heath heron hill ibis inlet iris isle jay kelp "
    "kite lake lark laurel leaf lily linden lynx maple marsh marten meadow mink mole moon moss "
    "newt oak orca otter owl palm peak pearl pike pine pond poplar prairie quail rain raven reed "
    "reef ridge river robin rowan sage sail seal shore sky slate snow sparrow spruce star stoat "
    "stone stork stream summit swan teal tern thistle tide trout vale vole wave willow wind wolf "
    "wren yew"
)


def name_from_id(unique_id: str) -> str:
    """Give a name such as `brisk-otter-412`: the same for the same id, at most 20 characters."""
    rest, number = divmod(zlib.crc32(unique_id.encode()), 1000)
    adjectives, nouns = _ADJECTIVES.split(), _NOUNS.split()
    rest, noun = divmod(rest, len(nouns))
    return f"{adjectives[rest % len(adjectives)]}-{nouns[noun]}-{number}"
