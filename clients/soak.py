"""``python -m clients.soak [NAME …]``: what slow clients and many connections do to the last stage.

Each experiment starts a server of its own and claims something of it. Exit status 1 if a claim does
not hold, or an experiment comes to nothing. All of them take a quarter of an hour; ``--quick`` is a
minute of smaller ones. Linux only: the server's memory, descriptors and CPU time are read in /proc.

- ``slow``         300 slow connections of four kinds, and a good client beside them
- ``idle``         10,000 idle connections: what each costs, and a stop with all of them open
- ``drain``        SIGTERM amid a flood, again and again
- ``beyond``       a flood of connections beyond ``--max-connections``
- ``descriptors``  fewer descriptors than connections
- ``requests``     10,000,000 requests of five kinds: is the memory flat?
"""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import trio

from . import command
from .endurance import endurance
from .http import ClientError
from .idle import idle
from .overrun import beyond, descriptors
from .replies import BadReply
from .slowloris import slow
from .witness import drain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from .claims import Claim


class Result(Protocol):
    """A dataclass: what was seen, and what is claimed of it."""

    def claims(self) -> list[Claim]:
        """What ought to hold."""


EXPERIMENTS: dict[str, Callable[..., Awaitable[Any]]] = {
    "slow": slow,
    "idle": idle,
    "drain": drain,
    "beyond": beyond,
    "descriptors": descriptors,
    "requests": endurance,
}
# So that a server that does not let go of a client, or does not stop, is a failure and no wait.
LIMITS_S = {"beyond": 120, "descriptors": 120, "requests": 7200}  # of the others 600
QUICK: dict[str, dict[str, object]] = {
    "slow": {"connections": 100, "windows": 1, "window_s": 5.0},
    "idle": {"connections": 2000},
    "drain": {"runs": 3},
    "beyond": {"allowed": 100, "arriving": 500, "duration_s": 4.0},
    "descriptors": {"duration_s": 1.0},
    "requests": {"requests": 200_000, "turn_s": 1.0},
}


def lines(name: str, result: Result) -> str:
    """An experiment's claims, for people."""
    text = [f"=== {name}"]
    for what, figures, holds in result.claims():
        text += [f"{'ok   ' if holds else 'FAILS'} {what}", f"      {figures}"]
    return "\n".join(text)


async def attempt(name: str, arguments: dict[str, object]) -> Result | str:
    """Make an experiment; what it found, or why it came to nothing."""
    limit_s = LIMITS_S.get(name, 600)
    result: Result | str = f"it did not come to its end within {limit_s:,} s"
    try:
        with command.progress() as update, trio.move_on_after(limit_s):
            result = await EXPERIMENTS[name](**arguments, on_progress=update)
    except* (ClientError, BadReply, trio.BrokenResourceError, OSError) as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        result = f"{type(first).__name__}: {first}"
    return result


async def _command(options: argparse.Namespace) -> int:
    found: dict[str, object] = {}
    failed = False
    for name in options.names or EXPERIMENTS:
        arguments = dict(QUICK[name]) if options.quick else {}
        if name == "drain":
            arguments["seed"] = options.seed
        result = await attempt(name, arguments)
        if isinstance(result, str):
            print(f"=== {name}\nFAILS to find anything out\n      {result}", flush=True)
            found[name] = {"failed": result}
            failed = True
        else:
            print(lines(name, result), flush=True)
            claims = result.claims()
            found[name] = dataclasses.asdict(cast("Any", result)) | {
                "claims": [claim._asdict() for claim in claims]
            }
            failed |= not all(claim.holds for claim in claims)
        command.write_json(options.json, found)
    return 1 if failed else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("soak", "Slow clients and many connections against the last stage.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(EXPERIMENTS)}; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="a minute of smaller ones")
    parser.add_argument("--seed", type=int, help="of the moments at which `drain` stops the server")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in EXPERIMENTS:
            parser.error(f"there is no {name}; choose from {', '.join(EXPERIMENTS)}")
    return command.run(partial(_command, options))


if __name__ == "__main__":
    sys.exit(main())
