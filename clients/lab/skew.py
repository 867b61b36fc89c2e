"""Two limits: a hot key, which no number of shards divides; readers, whom a mutex keeps apart."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

import trio
from trio.testing import MockClock

from clients.arrivals import zipf_shares
from clients.loads import Load
from trio_stages.locks import LockTimes, TimedTaskLock, TimedTaskRWLock
from trio_stages.queueing import closed_network, hot_lock_bound_per_s
from trio_stages.state.guards import shard_of

from .hotlock import saturated
from .recording import quantile
from .registry import Experiment, Findings
from .results import Axis, Column, Mark, Plot, Series, Table
from .simulate import Simulated, Stage, settings_of, simulate
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench
    from .results import Cell, Role

GROUP = "The controlled comparison"
# Many workers and long holds, so that it is the locks that decide.
WORKERS, WORK_MS, HOLD_MS = 64, 100.0, 10.0
USERS = 100
SHARDS = 8
SKEWS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
STATES = ("mutex", "sharded", "per-user")
REAL_SKEWS = (0.0, 1.5)
WHOSE: tuple[tuple[str, Role], ...] = (("virtual time", "virtual"), ("model", "model"))
KINDS: tuple[tuple[str, str, Role], ...] = (
    ("mutex", "mutex", "document"),
    ("rwlock", "reader-writer lock", "virtual"),
)


def skewed(state: str, skew: float) -> Simulated:
    """A pool that always has jobs, of Zipf's users."""
    return saturated(WORKERS, WORK_MS, HOLD_MS, state, USERS, skew=skew, shards=SHARDS)


def lock_shares(state: str, skew: float) -> list[float]:
    """The share of the jobs that goes through each lock."""
    shares = zipf_shares(USERS, skew)
    if state == "mutex":
        return [1.0]
    if state == "per-user":
        return shares
    of_shards = [0.0] * SHARDS
    for user, share in enumerate(shares):
        of_shards[shard_of(f"user{user}", SHARDS)] += share
    return of_shards


async def hot_key(bench: Bench) -> Findings:
    """Zipf's users beside uniform ones."""
    cases = [(state, skew) for state in STATES for skew in SKEWS]
    simulated = dict(zip(cases, await bench.compute(skewed, cases), strict=True))
    load = Load(requests=1500, concurrency=100, users=USERS)
    measured = {}
    for skew in REAL_SKEWS:
        options = [
            *("--workers", str(WORKERS), "--work-ms", f"{WORK_MS:g}", "--hold-ms", f"{HOLD_MS:g}"),
            *("--capacity", "1500", "--shards", str(SHARDS)),
        ]
        skewed_load = Load(
            requests=load.requests, concurrency=load.concurrency, users=USERS, skew=skew
        )
        measured[skew] = await bench.flood(
            8, skewed_load, options, settle_s=1.2 if bench.quick else 2.5
        )
    rows: list[tuple[Cell, ...]] = []
    for skew in SKEWS:
        hottest = max(zipf_shares(USERS, skew))
        row: list[Cell] = [f"{skew:g}", known(100 * hottest)]
        for state in STATES:
            row.append(known(simulated[state, skew].busy_per_s))
            network = closed_network(
                WORKERS, WORK_MS / 1000, HOLD_MS / 1000, lock_shares(state, skew)
            )
            row.append(known(network.rate_per_s))
        row.append(known(measured[skew].drain_per_s) if skew in measured else None)
        rows.append(tuple(row))
    sharded = {skew: simulated["sharded", skew].busy_per_s for skew in SKEWS}
    own = {skew: simulated["per-user", skew].busy_per_s for skew in SKEWS}
    bound = hot_lock_bound_per_s(HOLD_MS / 1000, lock_shares("per-user", 3.0))
    return Findings(
        tables=(
            Table(
                title=f"{WORKERS} workers, {WORK_MS:g} + {HOLD_MS:g} ms, {USERS} users by Zipf's "
                f"law, {SHARDS} shards",
                columns=(
                    Column("skew", "", "setting"),
                    Column("the hottest user sends", "%", "setting", 1),
                    *(
                        Column(f"{state}, {whose}", "jobs/s", role, 0)
                        for state in STATES
                        for whose, role in WHOSE
                    ),
                    Column("sharded, over sockets", "jobs/s", "measured", 0),
                ),
                rows=tuple(rows),
                caption="Skew: the exponent of Zipf's law, 0 is uniform, 1 is words in a text. The "
                "model takes holds to be random and is on the careful side.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="A hot key undoes sharding",
                x=Axis("skew of the users (Zipf's exponent)"),
                y=Axis("throughput", "jobs/s"),
                series=(
                    *(
                        Series(
                            name=f"{state}, virtual time",
                            role="virtual",
                            points=tuple(
                                (skew, simulated[state, skew].busy_per_s) for skew in SKEWS
                            ),
                            style="points",
                            group=state,
                        )
                        for state in STATES
                    ),
                    *(
                        Series(
                            name=f"{state}, model",
                            role="model",
                            points=tuple(
                                (
                                    skew / 10,
                                    closed_network(
                                        WORKERS,
                                        WORK_MS / 1000,
                                        HOLD_MS / 1000,
                                        lock_shares(state, skew / 10),
                                    ).rate_per_s,
                                )
                                for skew in range(0, 31, 2)
                            ),
                            group=state,
                        )
                        for state in STATES
                    ),
                    Series(
                        name="sharded, over sockets",
                        role="measured",
                        points=tuple((skew, each.drain_per_s) for skew, each in measured.items()),
                        style="points",
                        group="sharded",
                    ),
                ),
                marks=(Mark("1 / hold: one lock", "y", 1000 / HOLD_MS),),
                caption="The more one user sends, the nearer all comes to what one lock lets "
                "through, whatever the number of locks.",
                alt="Sharded and per-user start at 580 jobs/s and fall towards 100 as skew grows.",
            ),
        ),
        verdicts=(
            judge(
                "Uniform users spread over the shards: several times what one lock lets through.",
                sharded[0.0] > 3 * simulated["mutex", 0.0].busy_per_s,
                f"{figure(sharded[0.0])} jobs/s sharded, "
                f"{figure(simulated['mutex', 0.0].busy_per_s)} behind a mutex",
            ),
            judge(
                "Sharding's limit is a hot key: more skew, less throughput, down to one lock's.",
                sharded[3.0] < 1.5 * 1000 / HOLD_MS and sharded[3.0] < 0.4 * sharded[0.0],
                ", ".join(f"skew {skew:g}: {figure(rate)}" for skew, rate in sharded.items())
                + " jobs/s",
            ),
            agrees(
                "A lock for each user does not help the hottest user: 1 / (hold × its share).",
                own[3.0],
                bound,
                within=0.1,
                unit="jobs/s",
            ),
            judge(
                "The same over sockets.",
                measured[1.5].drain_per_s < 0.75 * measured[0.0].drain_per_s,
                f"{figure(measured[0.0].drain_per_s)} jobs/s uniform, "
                f"{figure(measured[1.5].drain_per_s)} at skew 1.5",
            ),
        ),
    )


class Mixed(NamedTuple):
    """Readers and writers at one lock."""

    per_s: float
    wait_s: float


READ_SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)
READERS = 32
MIX_S = 10.0


def mixed(kind: str, read_share: float) -> Mixed:
    """The package's own lock in virtual time: tasks that work, then read or write for a hold.

    Args:
        kind: mutex or rwlock.
        read_share: of the passages.
    """
    clock = MockClock(autojump_threshold=0.0)
    return trio.run(_mixed, kind, read_share, clock=clock)


async def _mixed(kind: str, read_share: float) -> Mixed:
    times = LockTimes()
    lock = TimedTaskRWLock(times) if kind == "rwlock" else TimedTaskLock(times)

    async def user(number: int) -> None:
        random = Random(number)
        await trio.sleep(random.uniform(0, 0.1))
        while True:
            await trio.sleep(WORK_MS / 1000)
            passage = lock.read() if random.random() < read_share else lock.write()
            async with passage:
                await trio.sleep(HOLD_MS / 1000)

    with trio.move_on_after(MIX_S):
        async with trio.open_nursery() as nursery:
            for number in range(READERS):
                nursery.start_soon(user, number)
    statistics = times.statistics()
    return Mixed(statistics.acquisitions / MIX_S, statistics.wait.total / statistics.acquisitions)


def polled(state: str) -> tuple[float, float, float]:
    """Stage 7 with jobs, and somebody who reads a balance again and again beside them.

    Returns:
        Jobs per second; median and 99th percentile of a GET, in seconds.
    """
    latencies: list[float] = []

    async def drive(stage: Stage) -> None:
        for number in range(300):
            await stage.post(f"user{number % 20}")
        while stage.telemetry.ledger.queued:
            started_s = trio.current_time()
            await stage.get("/balances/user1")
            latencies.append(trio.current_time() - started_s)
            await trio.sleep(0.003)

    simulated = simulate(7, drive, settings_of(7, state=state, capacity=300))
    ordered = sorted(latencies)
    return simulated.busy_per_s, quantile(ordered, 0.5), quantile(ordered, 0.99)


async def readers(bench: Bench) -> Findings:
    """What a reader-writer lock is for."""
    cases = [(kind, share) for kind in ("mutex", "rwlock") for share in READ_SHARES]
    results = dict(zip(cases, await bench.compute(mixed, cases), strict=True))
    gets = dict(
        zip(
            ("mutex", "rwlock", "sharded"),
            await bench.compute(polled, [("mutex",), ("rwlock",), ("sharded",)]),
            strict=True,
        )
    )
    gains = {
        share: results["rwlock", share].per_s / results["mutex", share].per_s
        for share in READ_SHARES
    }
    return Findings(
        tables=(
            Table(
                title=f"{READERS} tasks, {WORK_MS:g} ms of work, {HOLD_MS:g} ms in the lock, "
                "reading or writing",
                columns=(
                    Column("reads", "%", "setting"),
                    Column("mutex", "passages/s", "virtual", 1),
                    Column("reader-writer lock", "passages/s", "virtual", 1),
                    Column("gain", "×", "factor", 2),
                    Column("wait, mutex", "ms", "wait", 1),
                    Column("wait, reader-writer lock", "ms", "wait", 1),
                ),
                rows=tuple(
                    (
                        100 * share,
                        known(results["mutex", share].per_s),
                        known(results["rwlock", share].per_s),
                        known(gains[share]),
                        known(results["mutex", share].wait_s * 1000),
                        known(results["rwlock", share].wait_s * 1000),
                    )
                    for share in READ_SHARES
                ),
                caption="The package's own locks in virtual time. First come, first served: "
                "readers next to each other share.",
            ),
            Table(
                title="Stage 7 with GET /balances/user1 mixed in: reads that take no time",
                columns=(
                    Column("state", "", "setting"),
                    Column("jobs done", "jobs/s", "virtual", 1),
                    Column("GET, median", "ms", "latency", 1),
                    Column("GET, p99", "ms", "latency", 1),
                ),
                rows=tuple(
                    (state, known(rate), known(p50 * 1000), known(p99 * 1000))
                    for state, (rate, p50, p99) in gets.items()
                ),
                caption="A reader behind sixteen writers waits for them, whichever lock it is.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="The reader-writer lock has its day",
                x=Axis("share of reads", "%"),
                y=Axis("throughput", "passages/s"),
                series=tuple(
                    Series(
                        name=name,
                        role=role,
                        points=tuple(
                            (100 * share, results[kind, share].per_s) for share in READ_SHARES
                        ),
                        group=kind,
                    )
                    for kind, name, role in KINDS
                ),
                caption="With writers alone the two are the same lock; from nine reads in ten on "
                "it is another matter.",
                alt="The mutex stays at 100 passages/s, the reader-writer lock rises with the "
                "share of reads.",
            ),
        ),
        verdicts=(
            judge(
                "A reader-writer lock helps when reads are many and writes few.",
                gains[0.99] > 1.5 and gains[1.0] > 2,
                f"{gains[0.9]:.2f}× at 90 % reads, {gains[0.99]:.2f}× at 99 %, {gains[1.0]:.2f}× "
                "at 100 %",
                "document",
            ),
            judge(
                "It does not help a load that writes.",
                abs(gains[0.0] - 1) < 0.02,
                f"{gains[0.0]:.3f}× with writes alone",
                "document",
            ),
            judge(
                "It does not help readers who only look up a number beside many writers.",
                gets["rwlock"][1] > 0.8 * gets["mutex"][1],
                f"a GET takes {gets['rwlock'][1] * 1000:.0f} ms (median) with the reader-writer "
                f"lock, {gets['mutex'][1] * 1000:.0f} ms with the mutex, "
                f"{gets['sharded'][1] * 1000:.0f} ms with shards",
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="hot-key",
        group=GROUP,
        stages=(8,),
        title="A hot key",
        question="What does sharding do for users of whom one sends half?",
        mode="both",
        run=hot_key,
        command="python -m clients.stress 8 --spawn --users 1",
    ),
    Experiment(
        id="readers",
        group=GROUP,
        stages=(7,),
        title="Readers",
        question="When is a reader-writer lock better than a mutex?",
        mode="virtual",
        run=readers,
    ),
)
