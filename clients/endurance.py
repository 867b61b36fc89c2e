"""Ten million requests to one server: does its memory stay where it was?

What leaks a little with every request, or with every connection, does not show in a flood of five
thousand. The loads change in turn, so that each way through the server is taken a million times:
the same head over and over, heads that were never seen before, bodies of many lengths, several
requests at a time, and connections that last for a single one.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .bench import generate
from .bench.loads import Load, Shape
from .claims import Claim, released
from .drain import read_stats, watch_drain
from .http import Connection, Target
from .spawn import spawned
from .stress import STALL_S

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE = 10
OPTIONS = ("--work-ms=0", "--hold-ms=0", "--offload=task", "--log-level=warning")
SHAPES: tuple[Shape, ...] = ("same", "unique", "varying", "pipelined", "close")
CONNECTIONS = 50
TURN_S = 4.0
# What may come with the second half, of the memory that there was in the middle.
GROWTH = 0.03
# The first does not count; of the others each half has two at least, none of them in both.
LEAST_READINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Endurance:
    """A server that was asked again and again.

    Attributes:
        wanted: requests.
        requests: that it answered.
        errors: connections that failed.
        accepted: by the clients' count.
        resident_bytes: after each turn of all the loads.
        stats: of the server, when all was done.
        left: connections, and descriptors, that it still had then.
        exit_status: of the server.
    """

    wanted: int
    requests: int
    errors: int
    accepted: int
    resident_bytes: tuple[int, ...]
    stats: dict[str, int]
    left: tuple[int, int]
    exit_status: int | None

    def claims(self) -> list[Claim]:
        """What ought to hold."""
        stats = self.stats
        return [
            Claim(
                f"{self.wanted:,} requests are answered",
                f"{self.requests:,}, {self.errors} connections failed",
                self.requests >= self.wanted and not self.errors,
            ),
            self._memory(),
            Claim(
                "what was accepted was processed, and the books add up",
                f"{stats['accepted']:,} accepted ({self.accepted:,} by the clients' count), "
                f"{stats['processed']:,} processed",
                stats["accepted"] == stats["processed"]
                and stats["received"] == stats["accepted"] + stats["rejected"] + stats["invalid"]
                and stats["accepted"] >= self.accepted,
            ),
            Claim(
                "all connections are released",
                f"{self.left[0]} connections, {self.left[1]} descriptors left, "
                f"exit {self.exit_status}",
                self.left == (0, 0) and self.exit_status == 0,
            ),
        ]

    def _memory(self) -> Claim:
        what = f"memory is flat: the second half adds less than {GROWTH:.0%}"
        if len(self.resident_bytes) < LEAST_READINGS:
            return Claim(what, f"not observed: {len(self.resident_bytes)} readings", False)
        readings = self.resident_bytes[1:]
        half = len(readings) // 2
        middle, end = statistics.median(readings[:half]), statistics.median(readings[-half:])
        return Claim(
            what,
            f"{middle / 1e6:.2f} MB in the first, {end / 1e6:.2f} MB in the second "
            f"(medians of {half} readings each; the first of all does not count)",
            end <= middle * (1 + GROWTH),
        )


async def endurance(
    requests: int = 10_000_000,
    turn_s: float = TURN_S,
    tool: generate.Tool | None = None,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Endurance:
    """Send so many requests, the loads in turn, and more until there are ``LEAST_READINGS``.

    Args:
        requests: at least so many.
        turn_s: seconds of each load before the next one's turn.
        tool: the load generator; None: wrk where it is installed.
        on_progress: called after each.
    """
    tool = tool or generate.available()
    answered = accepted = errors = 0
    resident: list[int] = []
    async with spawned(STAGE, OPTIONS) as server:
        target = await Target.locate(server.url)
        with Connection(target) as control:
            await released(control)  # the first request has costs of its own
            files = server.open_files
            for shape in itertools.cycle(SHAPES):
                load = Load(name=shape, title="", shape=shape, connections=CONNECTIONS)
                found = await generate.send(tool, load, server.url, turn_s)
                answered += found["replies"]
                accepted += found["replies"] - found["refused"]
                errors += found["errors"]
                on_progress("requests", min(answered, requests), requests)
                if shape == SHAPES[-1]:
                    resident.append(server.resident_bytes)
                    if answered >= requests and len(resident) >= LEAST_READINGS:
                        break
            left = await released(control), server.open_files - files
            await watch_drain(control, float("inf"), stall_s=STALL_S)
            stats = await read_stats(control)
        await server.stop()
    counters = ("received", "accepted", "rejected", "invalid", "processed")
    return Endurance(
        wanted=requests,
        requests=answered,
        errors=errors,
        accepted=accepted,
        resident_bytes=tuple(resident),
        stats={name: stats[name] for name in counters},
        left=left,
        exit_status=server.exit_status,
    )
