"""What a reader-writer lock is for: readers, whom a mutex keeps apart."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

import trio
from trio.testing import MockClock

from trio_stages.locks import LockTimes, TimedTaskLock, TimedTaskRWLock

from .recording import quantile
from .registry import Experiment, Findings
from .results import Axis, Column, Plot, Series, Table
from .simulate import Stage, settings_of, simulate
from .verdicts import judge, known

if TYPE_CHECKING:
    from .bench import Bench
    from .results import Role

GROUP = "The controlled comparison"
WORK_MS, HOLD_MS = 100.0, 10.0
KINDS: tuple[tuple[str, str, Role], ...] = (
    ("mutex", "mutex", "hold"),
    ("rwlock", "reader-writer lock", "virtual"),
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
        id="readers",
        group=GROUP,
        stages=(7,),
        title="Readers",
        question="When is a reader-writer lock better than a mutex?",
        mode="virtual",
        run=readers,
    ),
)
