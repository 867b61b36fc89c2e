"""More connections than are allowed, and more than there are descriptors for.

In both, clients that were there before are served throughout, and all is released afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from .claims import Claim, released
from .drain import read_stats
from .flood import Latency, run_load
from .http import Connection, Target, connect, read_reply
from .loads import Load
from .pairs import cpu_s
from .spawn import allow_files, spawned

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE = 10
SPARE_FILES = 100
# The good clients, and what they have in advance of the crowd.
GOOD, RATE_PER_S, ADVANCE_S = 10, 100.0, 1.0
PROBE_S = 0.05
# A server that waits for descriptors may use so much of a core; one that spins uses all of it.
WAITING_CORES = 0.5


@dataclass(frozen=True, slots=True)
class Good:
    """Clients that were there before the crowd; a full queue is an answer."""

    requests: int
    answered: int
    p99_s: float

    @classmethod
    async def beside(cls, target: Target, duration_s: float) -> Good:
        """Send events over a few connections for so long."""
        requests = math.ceil(RATE_PER_S * duration_s)
        result = await run_load(
            target, Load(requests=requests, concurrency=GOOD, rate_per_s=RATE_PER_S)
        )
        return cls(requests, result.accepted + result.rejected, result.latency().p99_s)

    def claim(self) -> Claim:
        """They are served."""
        return Claim(
            "clients that were there before are served throughout",
            f"{self.answered:,} of {self.requests:,} answered, p99 {self.p99_s * 1000:.1f} ms",
            self.answered == self.requests,
        )


def none_left(connections: int) -> Claim:
    """The server has let go of all."""
    return Claim("afterwards none is left", f"{connections} connections", not connections)


@dataclass(frozen=True, slots=True)
class Beyond:
    """Connections beyond the limit.

    Attributes:
        allowed: ``--max-connections``.
        arriving: connections that come together, and stay if they may.
        kept: of these, how many were served.
        told: how many were told that there are too many.
        counted: these, by the server's count.
        good: the clients that were there before.
        health: how long ``/health`` took on fresh connections meanwhile.
        sick: how often its answer was something else than 200.
        left: connections at the end.
    """

    allowed: int
    arriving: int
    kept: int
    told: int
    counted: int
    good: Good
    health: Latency
    sick: int
    left: int

    def claims(self) -> list[Claim]:
        """What ought to hold."""
        health = self.health
        return [
            Claim(
                f"{self.arriving:,} connections come, {self.allowed:,} are allowed: "
                "the others are told, and counted",
                f"{self.kept:,} served, {self.told:,} told, {self.counted:,} counted",
                0 < self.kept <= self.allowed - GOOD
                and self.kept + self.told == self.arriving
                and self.told == self.counted,
            ),
            self.good.claim(),
            Claim(
                "/health answers a fresh connection throughout",
                f"{health.count} times, p50 {health.p50_s * 1000:.1f} ms, "
                f"longest {health.max_s * 1000:.0f} ms",
                health.count > 0 and not self.sick,
            ),
            none_left(self.left),
        ]


async def beyond(
    allowed: int = 200,
    arriving: int = 1000,
    duration_s: float = 10.0,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Beyond:
    """Let more connections come than are allowed, and ask for ``/health`` all the time.

    Args:
        allowed: ``--max-connections``.
        arriving: connections that come together.
        duration_s: of all of it.
        on_progress: called when it is over, and when all have left.
    """
    allow_files(arriving + SPARE_FILES)
    kept = told = sick = 0
    health_s: list[float] = []
    leave = trio.Event()

    async def arrive() -> None:
        nonlocal kept, told
        async with await connect(target) as stream:
            await stream.send_all(target.request("GET", "/stats"))
            reply = await read_reply(stream)
            if reply.status == 200:
                kept += 1
                await leave.wait()
            else:
                told += reply.json()["reason"] == "too_many_connections"

    async def probe() -> None:
        nonlocal sick
        message = target.request("GET", "/health", close=True)
        while not leave.is_set():
            started_s = trio.current_time()
            async with await connect(target) as stream:
                await stream.send_all(message)
                reply = await read_reply(stream)
            health_s.append(trio.current_time() - started_s)
            sick += reply.status != 200
            await trio.sleep(PROBE_S)

    async def crowd() -> None:
        await trio.sleep(ADVANCE_S)
        async with trio.open_nursery() as nursery:
            for _ in range(arriving):
                nursery.start_soon(arrive)
            nursery.start_soon(probe)

    async with spawned(STAGE, [f"--max-connections={allowed}"]) as server:
        target = await Target.locate(server.url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd)
            good = await Good.beside(target, duration_s)
            on_progress("beyond the limit", 1, 2)
            leave.set()
        with Connection(target) as connection:
            left = await released(connection)
            counted = (await read_stats(connection))["connections_refused"]
        on_progress("beyond the limit", 2, 2)
    return Beyond(
        allowed=allowed,
        arriving=arriving,
        kept=kept,
        told=told,
        counted=counted,
        good=good,
        health=Latency.of(health_s),
        sick=sick,
        left=left,
    )


@dataclass(frozen=True, slots=True)
class Descriptors:
    """A server without descriptors for all who come.

    Attributes:
        limit: on its descriptors.
        used: of these, when the crowd had come.
        arriving: connections that came together.
        waiting: of these, how many were not answered while the others stayed.
        cores: of CPU time that the server used meanwhile.
        recovery_s: from the moment when those others left until all had been answered.
        good: the clients that were there before.
        left: connections at the end.
    """

    limit: int
    used: int
    arriving: int
    waiting: int
    cores: float
    recovery_s: float
    good: Good
    left: int

    def claims(self) -> list[Claim]:
        """What ought to hold."""
        return [
            Claim(
                f"{self.arriving} connections come, there are {self.limit} descriptors: "
                "it waits, and does not spin",
                f"{self.used} in use, {self.waiting} connections in the queue, "
                f"{self.cores:.2f} cores busy",
                self.used == self.limit and self.waiting > 0 and self.cores < WAITING_CORES,
            ),
            self.good.claim(),
            Claim(
                "when those who have been answered leave, the others are, too",
                f"after {self.recovery_s:.2f} s",
                math.isfinite(self.recovery_s),
            ),
            none_left(self.left),
        ]


async def descriptors(
    limit: int = 64,
    arriving: int = 200,
    duration_s: float = 5.0,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Descriptors:
    """Take a server's descriptors away, and let more clients come than are left.

    Args:
        limit: on its descriptors.
        arriving: connections that come together; those who are answered stay.
        duration_s: for which they do.
        on_progress: called when they leave, and when all have left.
    """
    allow_files(arriving + SPARE_FILES)
    answered = used = waiting = 0
    cores, recovery_s = math.nan, math.inf
    leave = trio.Event()

    async def arrive() -> None:
        nonlocal answered
        async with await connect(target) as stream:
            await stream.send_all(target.request("GET", "/health"))
            await read_reply(stream)
            answered += 1
            await leave.wait()

    async def crowd() -> None:
        nonlocal used, waiting, cores, recovery_s
        await trio.sleep(ADVANCE_S)
        server.limit_files(limit)
        async with trio.open_nursery() as nursery:
            for _ in range(arriving):
                nursery.start_soon(arrive)
            await trio.sleep(ADVANCE_S)
            before_s = cpu_s(server.pid)
            await trio.sleep(duration_s)
            cores = (cpu_s(server.pid) - before_s) / duration_s
            used, waiting = server.open_files, arriving - answered
            leave.set()
            left_s = trio.current_time()
            on_progress("out of descriptors", 1, 2)
        recovery_s = trio.current_time() - left_s

    async with spawned(STAGE) as server:
        target = await Target.locate(server.url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd)
            good = await Good.beside(target, 3 * ADVANCE_S + duration_s)
        with Connection(target) as connection:
            left = await released(connection)
        on_progress("out of descriptors", 2, 2)
    return Descriptors(
        limit=limit,
        used=used,
        arriving=arriving,
        waiting=waiting,
        cores=cores,
        recovery_s=recovery_s,
        good=good,
        left=left,
    )
