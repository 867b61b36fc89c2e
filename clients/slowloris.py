"""Slow clients of four kinds, and a good one beside them: does the server give each its time?

A connection that sends or takes next to nothing costs its client nothing; a server that waits for
it without end pays with a descriptor, a task and a buffer. The server's clocks are totals, so a
byte now and then buys no time: each kind is evicted by a clock of its own.
"""

from __future__ import annotations

import math
import socket
import statistics
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio
from trio_util import wait_any

from .claims import Claim, released
from .flood import run_load
from .http import Connection, Target, connect
from .loads import Load
from .slow import DRIP
from .spawn import spawned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STAGE = 10
# In seconds, so short that every window sees several generations of slow clients.
TIMEOUTS_S = {"header": 2.0, "body": 3.0, "idle": 4.0, "write": 2.0}
# A byte ten times a second: a clock for each byte would never run out.
DRIP_S = 0.1
# They come one after the other within this time: slowness is the subject, not a stampede.
ARRIVE_S = 1.0
# Of a body a quarter comes at once, so that it is worth a buffer.
BODY_BYTES, UP_FRONT_BYTES = 1_000_000, 250_000
# As little as the kernel grants, so that a client that reads nothing is full soon.
BUFFER_BYTES = 4096
# What two busy cores may add to a timeout, or a client's clock may start after the server's.
LATE_S, EARLY_S = 1.0, 0.2
# The good client: often enough for a 99th percentile, seldom enough to load nobody.
RATE_PER_S = 100.0
CONNECTIONS = 8
# "Not slower" is within this factor, or so fast that nobody would notice.
FACTOR, UNNOTICED_S = 3.0, 0.05


async def drip_head(stream: trio.SocketStream, mark: Callable[[], None]) -> None:
    """Send a head that never ends."""
    mark()
    await wait_any(partial(_drip, stream, DRIP), partial(_read_on, stream))


async def drip_body(stream: trio.SocketStream, mark: Callable[[], None]) -> None:
    """Send the first part of a body, and drip the rest."""
    mark()
    head = b"POST / HTTP/1.1\r\nHost: slow\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
    await stream.send_all(head + bytes(UP_FRONT_BYTES))
    await wait_any(partial(_drip, stream, bytes(BODY_BYTES)), partial(_read_on, stream))


async def never_read(stream: trio.SocketStream, mark: Callable[[], None]) -> None:
    """Ask for the longest reply until no buffer takes any more, and read none."""
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        stream.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)
    mark()  # a few replies early
    while True:
        await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: slow\r\n\r\n" * 100)


async def stay_idle(stream: trio.SocketStream, mark: Callable[[], None]) -> None:
    """Send one good request, take its reply, and keep the connection."""
    mark()  # a reply early: a busy client reads it late, and would take its eviction for hasty
    await stream.send_all(b"GET /health HTTP/1.1\r\nHost: slow\r\n\r\n")
    await _read_on(stream)


KINDS: dict[str, Callable[[trio.SocketStream, Callable[[], None]], Awaitable[None]]] = {
    "header": drip_head,
    "body": drip_body,
    "write": never_read,
    "idle": stay_idle,
}
"""By the timeout that ends them. Each calls ``mark`` when the server's clock starts to run."""


async def _drip(stream: trio.SocketStream, data: bytes) -> None:
    for at in range(len(data)):
        await stream.send_all(data[at : at + 1])
        await trio.sleep(DRIP_S)


async def _read_on(stream: trio.SocketStream) -> None:
    while await stream.receive_some():
        pass


async def endure(target: Target, kind: str) -> float:
    """Be a slow client until the server ends it; return the seconds that its clock allowed."""
    since = trio.current_time()

    def mark() -> None:
        nonlocal since
        since = trio.current_time()

    async with await connect(target) as stream:
        try:
            await KINDS[kind](stream, mark)
        except* trio.BrokenResourceError:
            pass  # evicted with something unread or unsent
        return trio.current_time() - since


async def besiege(target: Target, connections: int, duration_s: float) -> dict[str, list[float]]:
    """Hold slow connections, as many of each kind; who is evicted comes back until time is up.

    Returns:
        When the last one has been evicted: of each kind, how long the server waited, in seconds.
    """
    until = trio.current_time() + duration_s
    waited: dict[str, list[float]] = {kind: [] for kind in KINDS}

    async def slow_client(kind: str) -> None:
        while trio.current_time() < until:
            waited[kind].append(await endure(target, kind))

    async with trio.open_nursery() as nursery:
        for number in range(connections):
            nursery.start_soon(slow_client, list(KINDS)[number % len(KINDS)])
            await trio.sleep(ARRIVE_S / connections)
    return waited


@dataclass(frozen=True, slots=True)
class Slow:
    """What a good client and the server went through.

    Attributes:
        connections: slow ones at a time.
        duration_s: for which they were there, all windows together.
        timeouts_s: of the server.
        unloaded_p99_s: the good client's, window by window, without them.
        beside_p99_s: the same with them.
        unanswered: requests of the good client (a full queue is an answer).
        waited_s: of each kind, how often one was evicted and after how long: (count, least, most).
        resident_bytes: of the server, at the start, with them (the most seen), and after them.
        left: connections that were still there at the end.
    """

    connections: int
    duration_s: float
    timeouts_s: dict[str, float]
    unloaded_p99_s: list[float]
    beside_p99_s: list[float]
    unanswered: int
    waited_s: dict[str, tuple[int, float, float]]
    resident_bytes: tuple[int, int, int]
    left: int

    def claims(self) -> list[Claim]:
        """What ought to hold."""
        alone = statistics.median(self.unloaded_p99_s)
        beside = statistics.median(self.beside_p99_s)
        start, most, end = (size / 1e6 for size in self.resident_bytes)
        return [
            Claim(
                "a good client's p99 stays within 3x, or under 50 ms",
                f"{beside * 1000:.1f} ms beside {self.connections} slow ones, "
                f"{alone * 1000:.1f} ms alone (medians of {len(self.beside_p99_s)} windows)",
                beside <= max(FACTOR * alone, UNNOTICED_S),
            ),
            Claim(
                "and it is always answered", f"{self.unanswered} unanswered", not self.unanswered
            ),
            *(
                Claim(
                    f"{KINDS[kind].__name__} is evicted on time ({self.timeouts_s[kind]:g} s)",
                    f"{count} times, after {least:.2f} to {longest:.2f} s",
                    count > 0
                    and self.timeouts_s[kind] - EARLY_S <= least
                    and longest <= self.timeouts_s[kind] + LATE_S,
                )
                for kind, (count, least, longest) in self.waited_s.items()
            ),
            Claim("afterwards none is left", f"{self.left} connections", not self.left),
            Claim(
                "and memory is within 20 % of the start",
                f"{start:.1f} MB, {most:.1f} with them, {end:.1f} after",
                end <= 1.2 * start,
            ),
        ]


async def slow(
    connections: int = 300,
    windows: int = 6,
    window_s: float = 10.0,
    timeouts_s: dict[str, float] = TIMEOUTS_S,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Slow:
    """Measure a good client by turns alone and beside slow ones.

    Args:
        connections: slow ones, held throughout a window.
        windows: of each sort, in turn.
        window_s: length of one.
        timeouts_s: of the server.
        on_progress: called after each window.
    """
    options = [f"--{name}-timeout={limit_s}" for name, limit_s in timeouts_s.items()]
    load = Load(
        requests=math.ceil(RATE_PER_S * window_s), concurrency=CONNECTIONS, rate_per_s=RATE_PER_S
    )
    alone, beside = [], []
    waited: dict[str, list[float]] = {kind: [] for kind in KINDS}
    unanswered = start = most = 0
    async with spawned(STAGE, options) as server:
        target = await Target.locate(server.url)
        with Connection(target) as connection:  # the first of each request has costs of its own
            await connection.request(target.request("GET", "/metrics"))

        async def siege() -> None:
            for kind, times_s in (await besiege(target, connections, window_s)).items():
                waited[kind] += times_s

        for window in range(windows):
            result = await run_load(target, load)
            unanswered += result.errors
            alone.append(result.latency().p99_s)
            start = start or server.resident_bytes
            async with trio.open_nursery() as nursery:
                nursery.start_soon(siege)
                result = await run_load(target, load)
                most = max(most, server.resident_bytes)
            unanswered += result.errors
            beside.append(result.latency().p99_s)
            on_progress("slow: windows", window + 1, windows)
        with Connection(target) as connection:
            left = await released(connection)
        end = server.resident_bytes
    return Slow(
        connections=connections,
        duration_s=windows * window_s,
        timeouts_s=timeouts_s,
        unloaded_p99_s=alone,
        beside_p99_s=beside,
        unanswered=unanswered,
        waited_s={kind: (len(times), min(times), max(times)) for kind, times in waited.items()},
        resident_bytes=(start, most, end),
        left=left,
    )
