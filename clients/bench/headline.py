"""``python -m clients.bench headline``: the figures of the document's own stages 7 and 8.

The document gives 12,937 and 10,799 requests per second for them; built on a machine like the one
that these targets come from, its Rust code answered 14,400 and 13,800, with 37 µs of CPU a request
where every request has a connection of its own. Three experiments, in turn, round after round:

- ``flood``      ``clients.stress N --spawn``: 5,000 requests over 200 keep-alive connections
- ``close``      a connection for each request: the server's CPU time for a reply
- ``sustained``  ten seconds of as many requests as come: what is left for the jobs
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio
from rich.console import Console

from clients import command
from clients.drain import read_stats
from clients.http import ClientError, Connection, Target
from clients.loads import LOADS
from clients.stress import measure_spawned
from trio_stages.report.machine import machine

from . import generate, headline_page, pages, pinned, process, servers
from .loads import Load
from .running import running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

ROUNDS, QUICK_ROUNDS = 9, 1
SUSTAINED_S, QUICK_SUSTAINED_S = 10.0, 3.0
CLOSE_S = 2.0
WATCH_EVERY_S = 0.1
CONNECTIONS, USERS = 200, 100
STAGES = (7, 8)

CLOSE = Load(name="close", title="", shape="close", connections=CONNECTIONS)
SUSTAINED = Load(name="sustained", title="", shape="same", connections=CONNECTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """One run of ``clients.stress``.

    Attributes:
        stage: which.
        requests_per_s: answered.
        latency_ms: mean.
        accepted: events.
        model: how many the model expects.
        jobs_per_s: processed while the flood lasted.
        ledger_ok: whether server and client agree, event by event.
    """

    stage: int
    requests_per_s: float
    latency_ms: float
    accepted: int
    model: float
    jobs_per_s: float
    ledger_ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """A connection for each request.

    Attributes:
        stage: which.
        requests_per_s: answered, whatever the answer.
        cpu_us: of the server, for each.
    """

    stage: int
    requests_per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """A flood that goes on.

    Attributes:
        seconds: it lasted.
        requests_per_s: answered.
        refused_per_s: of these.
        jobs_per_s: processed meanwhile; see ``amid``.
        ledger_ok: whether client and server agree on what was accepted, and the sums are right.
    """

    seconds: float
    requests_per_s: float
    refused_per_s: float
    jobs_per_s: float
    ledger_ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """All runs."""

    stamp: dict[str, str]
    floods: tuple[Flood, ...]
    closes: tuple[Close, ...]
    sustained: tuple[Sustained, ...]


async def flood(stage: int) -> Flood:
    """Start the stage, flood it as the document does, drain and check it."""
    report = await measure_spawned(stage, LOADS[stage])
    result = report.result
    assert report.model is not None
    return Flood(
        stage=stage,
        requests_per_s=result.throughput_per_s,
        latency_ms=result.latency().mean_s * 1000,
        accepted=result.accepted,
        model=report.model.accepted(result.sent, result.duration_s),
        jobs_per_s=report.during_flood_per_s or 0.0,
        ledger_ok=report.ok,
    )


async def close(stage: int, seconds: float = CLOSE_S) -> Close:
    """Start the stage on a CPU of its own, and open a connection for each request."""
    server_cpus, load_cpus = pinned.split()
    async with running(servers.stage(stage), server_cpus) as server:
        pids = process.family(server.pid)
        before_s = process.cpu_s(pids)
        found = await generate.send(generate.available(), CLOSE, server.url, seconds, load_cpus)
        used_s = process.cpu_s(pids) - before_s
    return Close(
        stage=stage,
        requests_per_s=found["replies"] / found["duration_s"],
        cpu_us=used_s / max(1, found["replies"]) * 1e6,
    )


class Reading(NamedTuple):
    """Of ``/stats``, amid a flood or not."""

    at_s: float
    received: int
    processed: int


def amid(readings: Sequence[Reading]) -> float:
    """Jobs per second from the first to the last reading that more events came before and after.

    Exact, as jobs and time have the same ends; and fair: while the generator starts workers have
    nothing to do, and once it has ended they have a full queue and no flood beside it.

    Raises:
        ClientError: there are no two such readings.
    """
    found = [
        this
        for last, this, later in zip(readings, readings[1:], readings[2:], strict=False)
        if last.received < this.received < later.received
    ]
    if len(found) < 2:
        raise ClientError("the flood was too short to be watched")
    return (found[-1].processed - found[0].processed) / (found[-1].at_s - found[0].at_s)


async def _watch(target: Target, readings: list[Reading]) -> None:
    with Connection(target) as connection:
        while True:
            stats = await read_stats(connection)
            readings.append(Reading(trio.current_time(), stats["received"], stats["processed"]))
            await trio.sleep(WATCH_EVERY_S)


async def sustained(tool: generate.Tool, seconds: float) -> Sustained:
    """Start stage 8, and flood it for so long."""
    server_cpus, load_cpus = pinned.split()
    async with running(servers.stage(8), server_cpus) as server:
        target = await Target.locate(server.url)
        with Connection(target) as control:
            before = await read_stats(control)
            readings: list[Reading] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, target, readings)
                found = await generate.send(tool, SUSTAINED, server.url, seconds, load_cpus, USERS)
                nursery.cancel_scope.cancel()
            after = await read_stats(control)
    counted = found["replies"] - found["refused"]
    return Sustained(
        seconds=found["duration_s"],
        requests_per_s=found["replies"] / found["duration_s"],
        refused_per_s=found["refused"] / found["duration_s"],
        jobs_per_s=amid(readings),
        # A generator that stops leaves the replies of its last requests unread, one a connection.
        ledger_ok=0 <= after["accepted"] - before["accepted"] - counted <= CONNECTIONS
        and after["received"] == after["accepted"] + after["rejected"] + after["invalid"],
    )


async def measure(
    rounds: int,
    sustained_s: float,
    tool: generate.Tool,
    on_progress: Callable[[str, int, int], object] = lambda what, done, total: None,
) -> Headline:
    """Run all experiments, round after round.

    Args:
        rounds: how often.
        sustained_s: seconds of the sustained flood.
        tool: the load generator of that; the flood is ``clients.stress``.
        on_progress: called after each round.
    """
    floods, closes, floods_on = [], [], []
    for number in range(rounds):
        for stage in STAGES:
            floods.append(await flood(stage))
            closes.append(await close(stage))
        floods_on.append(await sustained(tool, sustained_s))
        on_progress("headline: rounds", number + 1, rounds)
    return Headline(
        stamp=machine() | {"load generator": await generate.describe(tool)},
        floods=tuple(floods),
        closes=tuple(closes),
        sustained=tuple(floods_on),
    )


async def _command(options: argparse.Namespace) -> int:
    quick = options.quick
    with command.progress() as update:
        found = await measure(
            options.rounds or (QUICK_ROUNDS if quick else ROUNDS),
            options.seconds or (QUICK_SUSTAINED_S if quick else SUSTAINED_S),
            options.generator,
            update,
        )
    console = Console(width=None if sys.stdout.isatty() else pages.WIDTH_OF_A_FILE)
    for table in headline_page.tables(found):
        console.print(table.rich())
    pages.print_verdicts(headline_page.verdicts(found))
    results = dataclasses.asdict(found)
    command.write_json(options.json, results)
    pages.write(options.out, results, lambda plots: headline_page.page(found))
    right = [run.ledger_ok for run in found.floods] + [run.ledger_ok for run in found.sustained]
    return 0 if all(right) else 1


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    parser = command.parser("bench headline", "Stages 7 and 8 at the document's own load.")
    parser.add_argument("--rounds", type=command.positive, metavar="N", help=f"default: {ROUNDS}")
    parser.add_argument(
        "--seconds",
        type=command.positive_float,
        metavar="S",
        help=f"of the sustained flood (default: {SUSTAINED_S:g})",
    )
    parser.add_argument("--quick", action="store_true", help="one round, a short flood")
    parser.add_argument(
        "--generator",
        choices=("wrk", "own"),
        default="own",
        help="of the sustained flood (default: %(default)s)",
    )
    pages.add_out(parser, "headline")
    return command.run(partial(_command, parser.parse_args(arguments)))
