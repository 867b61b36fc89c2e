"""``python -m clients.bench [COMMAND] …``; the package's docstring has the commands."""

from __future__ import annotations

import sys

from . import compare, headline, profile, scale

COMMANDS = {
    "compare": compare.main,
    "headline": headline.main,
    "profile": profile.main,
    "scale": scale.main,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command, ``compare`` if none is named; return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    return compare.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
