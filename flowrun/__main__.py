"""`flowrun` and `python -m flowrun`: the command line, with a short way for `--version`."""

from __future__ import annotations

import sys

from flowrun.version import __version__


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        sys.stdout.write(f"flowrun {__version__}\n")
        return
    import_cli_main()


def import_cli_main() -> None:
    """Load the command line proper: it takes five times as long as the interpreter's start."""
    from flowrun.cli.main import main as cli_main

    cli_main()


if __name__ == "__main__":
    main()
