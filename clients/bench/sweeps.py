"""The sweeps of ``bench scale``: one thing grows, everything else stays, and a server is measured.

Each sweep has a figure that would stay the same if growth were free, or has a model that says what
it should be; it bends where it has become worse than ``BEND`` times its best, or its model.
"""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import trio

from clients.drain import watch_drain
from clients.http import ClientError, Connection, Target
from clients.idle import gather
from clients.loads import LOADS
from clients.loads import Load as Events
from clients.prediction import shares_of_shards
from clients.spawn import allow_files
from clients.stress import STALL_S, measure_spawned
from trio_stages.model import service_rate_per_s
from trio_stages.options import default_shards
from trio_stages.queueing import hot_lock_bound_per_s

from . import generate, pinned, process, servers
from .generator import event, message
from .loads import Load
from .running import running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEND = 1.25
# Of stage 8's own jobs, and what bounds their rate.
WORK_S, HOLD_S = 0.010, 0.001
MODEL = "model: workers ÷ 11 ms, or what the hottest shard's lock lets through, if that is less"
SPARE_FILES = 200
# Jobs of a drain: two seconds' worth, between these bounds.
DRAIN_S, LEAST_JOBS, MOST_JOBS = 2.0, 200, 20_000
# Users that are sent in one piece, before any reply is read. Fewer than the queue has places.
BATCH = 200

# Events that are measured among so many users; a step, prime to all counts, picks them.
VISITS, STEP = 20_000, 7919
# Below so many users the memory for one is lost in what a process takes anyway.
FEWEST_TO_WEIGH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of what grows, and the figures there."""

    at: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One thing that grew.

    Attributes:
        name: of what grew.
        title: what was done.
        unit: of ``at``.
        figure: the name of the one that tells whether it bends.
        better: whether that should be low, or high.
        model: what it should be at each point, if arithmetic says so.
        points: in the order of their size.
        memory: the name of the figure for it, where it was weighed.
    """

    name: str
    title: str
    unit: str
    figure: str
    better: Literal["low", "high"]
    points: tuple[Point, ...]
    model: dict[int, float] = field(default_factory=dict)
    memory: str = ""

    def strain(self, point: Point) -> float:
        """How many times worse the figure is here than its model, or than the best of all."""
        figure = self.figure
        value = point.figures[figure]
        every = [each.figures[figure] for each in self.points]
        best = min(every) if self.better == "low" else max(every)
        wanted = self.model.get(point.at, best)
        over, under = (value, wanted) if self.better == "low" else (wanted, value)
        return over / under if under else float("inf")

    def straight_from(self, first: Point) -> bool:
        """Whether nothing is bent from this point on."""
        return all(self.strain(point) <= BEND for point in self.points if point.at >= first.at)

    @property
    def bends_at(self) -> int | None:
        """From which value on the figure stays bent; None if it is not bent at the end."""
        bent = None
        for point in reversed(self.points):
            if self.strain(point) <= BEND:
                break
            bent = point.at
        return bent


async def connections(
    counts: tuple[int, ...], seconds: float, on_progress: Callable[[str, int, int], object]
) -> Sweep:
    """More clients at a time: CPU time for an accepted event, and what an idle one holds.

    Raises:
        ClientError: not so many descriptors are allowed here.
    """
    allow_files(max(counts) + SPARE_FILES)
    server_cpus, load_cpus = pinned.split()
    server = servers.stage(
        8, "--work-ms=0", "--hold-ms=0", "--offload=task", f"--max-connections={max(counts) + 100}"
    )
    points = []
    for number, count in enumerate(counts):
        async with running(server, server_cpus) as alone:
            target = await Target.locate(alone.url)
            before = process.resident_bytes([alone.pid])
            idle = await gather(target, count)
            held = process.resident_bytes([alone.pid]) - before
            for stream in idle:
                stream.socket.close()
        async with running(server, server_cpus) as alone:
            load = Load(name="", title="", shape="same", connections=count)
            sample = await generate.measure(
                generate.available(), load, alone, seconds, 0, load_cpus
            )
        points.append(
            Point(
                at=count,
                figures={
                    "CPU µs for an accepted event": sample.cpu_us or 0.0,
                    "accepted/s": sample.accepted_per_s,
                    "accepted, %": 100 * (sample.share_accepted or 0.0),
                    "p99 ms": sample.p99_ms or 0.0,
                    "kB for an idle connection": held / count / 1e3,
                },
            )
        )
        on_progress(f"scale: {count:,} connections", number + 1, len(counts))
    return Sweep(
        name="connections",
        title="stage 8 without work, keep-alive",
        unit="connections",
        figure="CPU µs for an accepted event",
        better="low",
        points=tuple(points),
        memory="kB for an idle connection",
    )


def modelled_per_s(workers: int, shards: int) -> float:
    """Jobs per second that the workers have time for, or that the hottest shard lets through."""
    return min(
        service_rate_per_s(workers, WORK_S, HOLD_S, one_lock=False),
        hot_lock_bound_per_s(HOLD_S, shares_of_shards(LOADS[8].users, shards)),
    )


async def workers(
    counts: tuple[int, ...], offload: str, on_progress: Callable[[str, int, int], object]
) -> Sweep:
    """More workers, of 10 ms of work and 1 ms of hold each: jobs per second of a backlog.

    Where they are as fast as the requests come, it is these that are counted.
    """
    points, model = [], {}
    for number, count in enumerate(counts):
        model[count] = modelled_per_s(count, default_shards())
        jobs = round(min(MOST_JOBS, max(LEAST_JOBS, DRAIN_S * model[count])))
        rate = await _drain_rate(
            jobs, f"--capacity={jobs}", f"--workers={count}", f"--offload={offload}"
        )
        points.append(Point(at=count, figures={"jobs/s": rate, "model": model[count]}))
        on_progress(f"scale: {count} workers", number + 1, len(counts))
    return Sweep(
        name=f"workers, jobs in {offload}s",
        title=f"stage 8, its own jobs, a backlog that drains; {MODEL}",
        unit="workers",
        figure="jobs/s",
        better="high",
        points=tuple(points),
        model=model,
    )


async def shards(counts: tuple[int, ...], on_progress: Callable[[str, int, int], object]) -> Sweep:
    """More locks for the same 16 workers and 100 users: jobs per second of a backlog."""
    model = {count: modelled_per_s(16, count) for count in counts}
    points = []
    for number, count in enumerate(counts):
        rate = await _drain_rate(3000, "--capacity=3000", f"--shards={count}", "--offload=task")
        points.append(Point(at=count, figures={"jobs/s": rate, "model": model[count]}))
        on_progress(f"scale: {count} shards", number + 1, len(counts))
    return Sweep(
        name="shards",
        title=f"stage 8, its own jobs, 16 workers, 100 users; {MODEL}",
        unit="shards",
        figure="jobs/s",
        better="high",
        points=tuple(points),
        model=model,
    )


async def _drain_rate(jobs: int, *options: str) -> float:
    load = Events(requests=jobs, concurrency=min(200, jobs), users=LOADS[8].users)
    report = await measure_spawned(8, load, options)
    if not report.ok:
        raise ClientError(f"the ledger differs: {report.differences[0]}")
    # Workers that keep up with the flood leave no backlog; then the flood is what they do.
    rate = report.drain.rate_per_s if report.drain else None
    return rate or report.during_flood_per_s or 0.0


async def users(
    counts: tuple[int, ...], state: str, on_progress: Callable[[str, int, int], object]
) -> Sweep:
    """More users, each with one event, on one server: memory for a user, CPU time for an event."""
    server_cpus, _ = pinned.split()
    server = servers.stage(8, "--work-ms=0", "--hold-ms=0", "--offload=task", f"--state={state}")
    points = []
    async with running(server, server_cpus) as alone:
        target = await Target.locate(alone.url)
        with Connection(target) as control:
            empty = process.resident_bytes([alone.pid])
            known = 0
            for number, count in enumerate(counts):
                await _in_thread(send_for, alone.url, range(known, count))
                known = count
                await watch_drain(control, math.inf, stall_s=STALL_S)
                resident = process.resident_bytes([alone.pid])
                before_s = process.cpu_s([alone.pid])
                visits = [n * STEP % count for n in range(VISITS)]
                await _in_thread(send_for, alone.url, visits)
                await watch_drain(control, math.inf, stall_s=STALL_S)
                used_s = process.cpu_s([alone.pid]) - before_s
                figures = {"CPU µs for an event": used_s / VISITS * 1e6, "MB": resident / 1e6}
                if count >= FEWEST_TO_WEIGH:
                    figures["bytes for a user"] = (resident - empty) / count
                points.append(Point(at=count, figures=figures))
                on_progress(f"scale: {count:,} users", number + 1, len(counts))
    return Sweep(
        name=f"users, {state}",
        title=f"stage 8 without work, --state {state}, an event for each user",
        unit="users",
        figure="CPU µs for an event",
        better="low",
        points=tuple(points),
        memory="bytes for a user",
    )


# Left to itself on Ctrl-C: the server is stopped, and that ends it.
_in_thread = partial(trio.to_thread.run_sync, abandon_on_cancel=True)


def send_for(url: str, numbers: Sequence[int]) -> None:
    """Send an event for each of these users, over one connection, until each was accepted.

    Raises:
        ClientError: the server answers with something else than 202 and 503, or not at all.
    """
    where = urlsplit(url)
    address = (str(where.hostname), int(where.port or 80))
    with socket.create_connection(address, timeout=30) as connection:
        for first in range(0, len(numbers), BATCH):
            batch = list(numbers[first : first + BATCH])
            while batch:
                connection.sendall(
                    b"".join(message(where.netloc, event(f"user{number}")) for number in batch)
                )
                statuses = _statuses(connection, len(batch))
                # Replies come in the order of the requests: whoever was refused is sent again.
                pairs = zip(batch, statuses, strict=True)
                batch = [number for number, status in pairs if status == b"503"]
                if unexpected := set(statuses) - {b"202", b"503"}:
                    raise ClientError(f"an event was answered {unexpected.pop().decode()}")


def _statuses(connection: socket.socket, replies: int) -> list[bytes]:
    data = b""
    while data.count(b"HTTP/1.1 ") < replies or not data.endswith(b"}"):
        more = connection.recv(65_536)
        if not more:
            raise ClientError("the server closed the connection")
        data += more
    return [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]]
