"""Stage 7: sixteen workers and one hot lock, and everything that the document says about it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clients.arrivals import schedule_s, users_of
from clients.loads import LOADS, Load
from trio_stages.model import service_rate_per_s
from trio_stages.queueing import closed_network

from . import published
from .pictures import lanes, queue_over_time, waits_and_holds
from .recording import quantile
from .registry import Experiment, Findings
from .results import Axis, Column, Comparison, Mark, Plot, Series, Table
from .simulate import RandomTimes, Simulated, flood, settings_of, simulate
from .twins import REAL, VIRTUAL, run_twins
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench

GROUP = "The document's tables: stage 7"
WORKERS = (1, 2, 4, 8, 12, 16, 32, 64)
MEASURED_WORKERS = (1, 4, 16, 64)  # the document's
# Seconds over sockets for which a pool works on its queue, to see its rate.
SWEEP_S, QUICK_SWEEP_S = 3.0, 1.2
# Enough for the start to be forgotten.
ROUNDS = 25
# Where the lock is nearly full, and randomness costs most.
RANDOM_WORKERS = 8
RANDOM_JOBS = 3000


def saturated(
    workers: int,
    work_ms: float,
    hold_ms: float,
    state: str = "mutex",
    users: int = 20,
    *,
    skew: float = 0.0,
    shards: int = 8,
    rounds: int = ROUNDS,
    exponential: bool = False,
) -> Simulated:
    """A pool of stage 7 that is never without a job, in virtual time.

    Args:
        workers: of the pool.
        work_ms: of a job outside the lock.
        hold_ms: inside it.
        state: how the balances are locked.
        users: in turn, or by Zipf's law.
        skew: the exponent of that.
        shards: of the state "sharded".
        rounds: jobs of each worker.
        exponential: the times of jobs are random, with these means.
    """
    job_s = (work_ms + hold_ms) / 1000
    jobs = RANDOM_JOBS if exponential else max(rounds * workers, 400)
    # Not all at once, or every worker would begin in the same instant for ever.
    times_s = schedule_s("constant", jobs, jobs / job_s if job_s else 1e6)
    settings = settings_of(
        7,
        workers=workers,
        work_ms=work_ms,
        hold_ms=hold_ms,
        state=state,
        shards=shards,
        capacity=jobs,
    )
    if exponential:
        settings = RandomTimes.of(settings)
    return simulate(7, flood(times_s, users_of(jobs, users, skew)), settings)


def saturated_at_random(workers: int, work_ms: float, hold_ms: float) -> Simulated:
    """The same with exponential times, for as long as it takes to see their mean."""
    return saturated(workers, work_ms, hold_ms, exponential=True)


async def hot_lock(bench: Bench) -> Findings:
    """The document's flood at stage 7."""
    twins = await run_twins(bench, 7, LOADS[7])
    real, virtual = twins.real, twins.virtual
    document, original = published.DOCUMENT_STAGE_7, published.ORIGINAL_STAGE_7
    waits, holds = real.recording.waits_s(), real.recording.holds_s()
    wait_ms, hold_ms = quantile(waits, 0.5) * 1000, quantile(holds, 0.5) * 1000
    expected_ms = 1000 * (16 * 0.010 - 0.110)
    virtual_waits = virtual.recording.waits_s()
    share = real.result.rejected / real.result.sent
    both = {"over sockets": real.recording, "virtual time": virtual.recording}
    return Findings(
        comparisons=(
            *twins.comparisons(
                document={
                    **document._asdict(),
                    "jobs_per_s": 100,
                    "duration_s": published.DOCUMENT_DURATION_S[7],
                },
                original={**original._asdict(), "jobs_per_s": 98},
            ),
            Comparison(
                quantity="wait for the lock, median",
                unit="ms",
                document="45 to 82",
                measured=known(wait_ms),
                virtual=known(quantile(virtual_waits, 0.5) * 1000),
                model=known(expected_ms),
                digits=1,
                note="the document quotes two lines of a log; the model: workers × hold - (work + "
                "hold), for constant times",
            ),
            Comparison(
                quantity="hold of the lock, median",
                unit="ms",
                document=10.1,
                measured=known(hold_ms),
                virtual=known(quantile(virtual.recording.holds_s(), 0.5) * 1000),
                model=10,
                digits=1,
            ),
        ),
        plots=(
            queue_over_time(
                both,
                100,
                "Stage 7: the queue during 5000 requests, and after them",
                "It is full within milliseconds. All later requests are refused but one for every "
                "job that ends: one each 10 ms.",
            ),
            waits_and_holds(
                both,
                "Stage 7: how long the lock is waited for, and held",
                "Every hold is 10 ms. Waiting takes a multiple of it: the sixteen stand in line.",
            ),
            lanes(
                real.recording,
                0.1,
                "Stage 7 over sockets: sixteen threads and one lock",
                "Holds never overlap. That is the whole story: one after the other, whoever they "
                "are for.",
            ),
            lanes(
                virtual.recording,
                0.1,
                "Stage 7 in virtual time: the same without a machine",
                "The same picture with nothing in it but arithmetic.",
            ),
        ),
        verdicts=(
            *twins.verdicts(7),
            judge(
                "Of 5000 requests about 97 % are refused.",
                0.955 <= share <= 0.985,
                f"{100 * share:.1f} %",
                "document",
            ),
            judge(
                "The lock is waited for much longer than it is held (wait ≫ hold).",
                wait_ms > 3 * hold_ms,
                f"median wait {wait_ms:.1f} ms, median hold {hold_ms:.1f} ms: "
                f"{wait_ms / hold_ms:.1f}×",
                "document",
            ),
            judge(
                "A single process in Python answers the flood as fast as the document's server.",
                real.result.throughput_per_s >= document.requests_per_s,
                f"{figure(real.result.throughput_per_s)} requests/s, the document's "
                f"{document.requests_per_s:,}",
            ),
        ),
    )


async def sweep(bench: Bench) -> Findings:
    """More and more workers behind the same lock."""
    simulated = await bench.compute(saturated, [(workers, 100.0, 10.0) for workers in WORKERS])
    virtual = dict(zip(WORKERS, simulated, strict=True))
    (at_random,) = await bench.compute(saturated_at_random, [(RANDOM_WORKERS, 100.0, 10.0)])
    measured = {}
    for workers in MEASURED_WORKERS:
        load = Load(requests=1200, concurrency=100)
        flooded = await bench.flood(
            7,
            load,
            ["--workers", str(workers), "--capacity", "1000"],
            settle_s=QUICK_SWEEP_S if bench.quick else SWEEP_S,
        )
        measured[workers] = flooded
    model = {n: service_rate_per_s(n, 0.1, 0.01, one_lock=True) for n in WORKERS}
    random = {n: closed_network(n, 0.1, 0.01) for n in WORKERS}
    rates = {n: each.drain_per_s for n, each in measured.items()}
    virtual_rates = {n: each.busy_per_s for n, each in virtual.items()}
    wait_ms = {n: quantile(each.recording.waits_s(), 0.5) * 1000 for n, each in virtual.items()}
    real_wait_ms = {
        n: quantile(each.recording.waits_s(), 0.5) * 1000 for n, each in measured.items()
    }
    rows = tuple(
        (
            float(n),
            known(rates.get(n, math.nan)),
            known(virtual_rates[n]),
            known(model[n]),
            known(random[n].rate_per_s),
            known(real_wait_ms.get(n, math.nan)),
            known(wait_ms[n]),
        )
        for n in WORKERS
    )
    worst = max(WORKERS, key=lambda n: abs(virtual_rates[n] / model[n] - 1))
    off = {n: abs(rates[n] / model[n] - 1) for n in MEASURED_WORKERS}
    worst_real = max(off, key=lambda n: off[n] if math.isfinite(off[n]) else math.inf)
    return Findings(
        tables=(
            Table(
                title="Workers behind one lock: 100 ms of work, 10 ms of hold",
                columns=(
                    Column("workers", "", "setting"),
                    Column("over sockets", "jobs/s", "measured", 1),
                    Column("virtual time", "jobs/s", "virtual", 1),
                    Column("model: the bound", "jobs/s", "model", 1),
                    Column("model: random times", "jobs/s", "model", 1),
                    Column("wait over sockets, median", "ms", "wait", 1),
                    Column("wait in virtual time, median", "ms", "wait", 1),
                ),
                rows=rows,
                caption="The bound: min(workers / 110 ms, 1 / 10 ms). Random times: the "
                "machine-repair model, whose jobs are exponential.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="Stage 7: throughput against workers",
                x=Axis("workers", "", log=True),
                y=Axis("throughput", "jobs/s"),
                series=(
                    points_of("over sockets", "measured", rates),
                    points_of("virtual time", "virtual", virtual_rates),
                    Series(
                        name="model: the bound",
                        role="model",
                        points=tuple(
                            (n, service_rate_per_s(1, 0.11 / n, 0.0, one_lock=False))
                            if n < 11
                            else (n, 100.0)
                            for n in (1.0, 2.0, 4.0, 8.0, 11.0, 16.0, 32.0, 64.0)
                        ),
                    ),
                    Series(
                        name="model: random times",
                        role="model",
                        points=tuple(
                            (float(n), closed_network(n, 0.1, 0.01).rate_per_s)
                            for n in range(1, 65)
                        ),
                        group="random",
                    ),
                ),
                marks=(Mark("1 / hold", "y", 100.0),),
                caption="Eleven workers fill the lock; all further ones stand in line.",
                alt="Throughput rises with the workers up to eleven, then stays at 100 jobs/s.",
            ),
            Plot(
                kind="sweep",
                title="Stage 7: what the further workers do instead",
                x=Axis("workers", "", log=True),
                y=Axis("wait for the lock, median", "ms", log=False),
                series=(
                    points_of("over sockets", "measured", real_wait_ms),
                    points_of("virtual time", "virtual", wait_ms),
                ),
                caption="They wait: each one more adds a hold to everybody's wait.",
                alt="The wait is nothing up to eleven workers, then rises by 10 ms a worker.",
            ),
        ),
        verdicts=(
            agrees(
                f"In virtual time the bound holds within 1 %, worst at {worst} workers.",
                virtual_rates[worst],
                model[worst],
                within=VIRTUAL,
                unit="jobs/s",
            ),
            agrees(
                f"Over sockets it holds within 10 %, worst at {worst_real} workers.",
                rates[worst_real],
                model[worst_real],
                within=REAL,
                unit="jobs/s",
            ),
            agrees(
                f"With random times {RANDOM_WORKERS} workers do what the machine-repair model "
                "says, within 5 %.",
                at_random.busy_per_s,
                random[RANDOM_WORKERS].rate_per_s,
                within=0.05,
                unit="jobs/s",
            ),
            judge(
                "Sixteen workers get about 100 jobs/s, and more of them do not help.",
                rates[64] < 1.05 * rates[16] and 90 < rates[16] < 105,
                f"{figure(rates[16])} jobs/s with 16, {figure(rates[64])} with 64",
                "document",
                of=(rates[16], rates[64]),
            ),
            judge(
                "More workers can mean worse performance: 64 are slower than 16.",
                rates[64] < 0.97 * rates[16],
                f"{figure(rates[64])} jobs/s with 64 workers, {figure(rates[16])} with 16: "
                f"{100 * (rates[64] / rates[16] - 1):+.1f} %",
                "document",
                of=(rates[16], rates[64]),
            ),
        ),
    )


def points_of(name: str, role: str, values: dict[int, float]) -> Series:
    points = tuple((float(n), value) for n, value in values.items() if math.isfinite(value))
    return Series(name=name, role=role, points=points, style="points")  # type: ignore[arg-type]


EXPERIMENTS = (
    Experiment(
        id="hot-lock",
        group=GROUP,
        stages=(7,),
        title="Sixteen workers, one hot lock",
        question="What does one lock, held for 10 ms, let through?",
        mode="both",
        run=hot_lock,
        command="python -m clients.stress 7 --spawn",
    ),
    Experiment(
        id="workers",
        group=GROUP,
        stages=(7,),
        title="1, 4, 16, 64 workers",
        question="Do more workers help?",
        mode="both",
        run=sweep,
        command="python -m clients.stress 7 --spawn -- --workers 64",
    ),
)
