"""What an experiment claims: a sentence, the figures it rests on, and whether it held."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trio

from .drain import read_stats

if TYPE_CHECKING:
    from .http import Connection

# For the server to let go of what it has; long beside the second for which it hears a client out.
RELEASE_S = 10.0
POLL_S = 0.1


class Claim(NamedTuple):
    """One line of the table."""

    what: str
    figures: str
    holds: bool


async def released(connection: Connection) -> int:
    """Wait until a server has no connection but this one; return how many others it still has."""
    until = trio.current_time() + RELEASE_S
    while True:
        left: int = (await read_stats(connection))["connections"] - 1
        if not left or trio.current_time() > until:
            return left
        await trio.sleep(POLL_S)
