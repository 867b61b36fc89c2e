"""Stages 5 and 6: what a bounded queue accepts of a burst, and what more workers do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clients.arrivals import schedule_s, users_of
from clients.flood import Outcome
from clients.loads import LOADS, Load

from .pictures import queue_over_time
from .registry import Experiment, Findings
from .results import Axis, Column, Comparison, Plot, Series, Table
from .simulate import Simulated, flood, settings_of, simulate
from .twins import run_twins
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench

GROUP = "The document's tables: stages 5 and 6"
BURST = Load(requests=200, concurrency=50, amount=1)
# Rounds of the pool that have to be seen for a rate.
QUICK_SETTLE_S = 2.7
WORKERS = (1, 2, 4, 8, 16)


def _waiting_burst(requests: int) -> Simulated:
    times_s, users = [0.0] * requests, users_of(requests, BURST.users)
    settings = settings_of(5, overflow="wait")
    return simulate(5, flood(times_s, users, tasks=True), settings)


async def burst(bench: Bench) -> Findings:
    """A burst of 200 at stage 5, and the document's 1000 requests."""
    settle_s = QUICK_SETTLE_S if bench.quick else math.inf
    twins = await run_twins(bench, 5, BURST, settle_s=settle_s)
    document = await bench.flood(5, LOADS[5], settle_s=0.0)
    (waiting,) = await bench.compute(_waiting_burst, [(BURST.requests,)])
    real, virtual = twins.real, twins.virtual
    refusals = real.result.latency(Outcome.REJECTED)
    longest_wait_s = waiting.flood_s
    return Findings(
        comparisons=(
            *twins.comparisons(document={"accepted": "≈ capacity (100)", "jobs_per_s": 2}),
            Comparison(
                quantity="accepted of 50 clients × 20 requests",
                document="≈ capacity (100)",
                original=101,
                measured=document.result.accepted,
                model=known(document.predicted_accepted),
            ),
            Comparison(
                quantity="time to a refusal, p99",
                unit="ms",
                document="immediately",
                measured=known(refusals.p99_s * 1000),
                digits=1,
            ),
            Comparison(
                quantity="queue delay of the last job",
                unit="s",
                virtual=known(max(virtual.recording.delays_s)),
                model=50,
                digits=1,
                note="queue ÷ rate: the price of what was accepted",
            ),
        ),
        tables=(
            Table(
                title="Two policies for the same burst of 200, in virtual time",
                columns=(
                    Column("--overflow", "", "setting"),
                    Column("accepted", "", "accepted"),
                    Column("refused", "", "rejected"),
                    Column("longest reply", "s", "latency", 2),
                ),
                rows=(
                    ("reject", virtual.accepted, virtual.rejected, None),
                    ("wait", waiting.accepted, waiting.rejected, known(longest_wait_s)),
                ),
                caption="Fail fast or block is a policy: nobody is refused, and the last one waits "
                "with an open connection until the queue has room.",
            ),
        ),
        plots=(
            queue_over_time(
                {"virtual time": virtual.recording},
                100,
                "Stage 5: a burst of 200, and the 50 seconds after it",
                "The queue is full at once; then one worker takes two jobs a second.",
            ),
        ),
        verdicts=(
            *twins.verdicts(5),
            judge(
                "A burst of 200 has 101 accepted: the queue, and the one in hand.",
                real.result.accepted == 101,
                f"{real.result.accepted} over sockets, {virtual.accepted} in virtual time",
            ),
            judge(
                "The rest is refused in milliseconds.",
                refusals.p99_s < 0.1,
                f"p99 {refusals.p99_s * 1000:.1f} ms for {refusals.count} refusals",
                "document",
            ),
            judge(
                "The other policy refuses nobody and makes the last client wait.",
                waiting.rejected == 0 and longest_wait_s > 45,
                f"{waiting.accepted} accepted, the last after {longest_wait_s:.1f} s",
                "document",
            ),
        ),
    )


def _pool(workers: int) -> Simulated:
    load = LOADS[6]
    times_s = schedule_s("constant", load.requests, load.requests / 0.2)
    users = users_of(load.requests, load.users)
    return simulate(6, flood(times_s, users), settings_of(6, workers=workers))


async def pool(bench: Bench) -> Findings:
    """Stage 6 under the load of its test, and how the rate grows with the workers."""
    twins = await run_twins(bench, 6, LOADS[6], settle_s=1.7 if bench.quick else math.inf)
    one = await bench.flood(5, LOADS[5], settle_s=QUICK_SETTLE_S if bench.quick else 10.2)
    simulated = await bench.compute(_pool, [(workers,) for workers in WORKERS])
    rates = [each.busy_per_s for each in simulated]
    four, single = twins.real.drain_per_s, one.drain_per_s
    return Findings(
        comparisons=(
            *twins.comparisons(document={"jobs_per_s": 8}, original={"accepted": 104}),
            Comparison(
                quantity="stage 6 ÷ stage 5, jobs/s",
                unit="×",
                document=4,
                measured=known(four / single),
                virtual=known(rates[2] / rates[0]),
                model=4,
                digits=2,
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="Stage 6: throughput against workers, without a hot lock",
                x=Axis("workers", "", log=True),
                y=Axis("throughput", "jobs/s"),
                series=(
                    Series(
                        name="virtual time",
                        role="virtual",
                        points=tuple(zip(map(float, WORKERS), rates, strict=True)),
                        style="points",
                    ),
                    Series(
                        name="over sockets",
                        role="measured",
                        points=((1.0, single), (4.0, four)),
                        style="points",
                    ),
                    Series(
                        name="model: workers / 0.5 s",
                        role="model",
                        points=tuple((float(n), n / 0.5) for n in WORKERS),
                    ),
                ),
                caption="Without anything to wait for, twice the workers do twice the jobs.",
                alt="A straight line from 2 jobs per second with one worker to 32 with sixteen.",
            ),
        ),
        verdicts=(
            *twins.verdicts(6),
            agrees(
                "Four workers do four times what one does.",
                four / single,
                4.0,
                within=0.1,
                unit="×",
                source="document",
            ),
            judge(
                "In virtual time the rate is exactly workers ÷ 500 ms.",
                all(
                    abs(rate - n / 0.5) < 1e-6 * rate
                    for n, rate in zip(WORKERS, rates, strict=True)
                ),
                ", ".join(f"{n}: {figure(rate)}/s" for n, rate in zip(WORKERS, rates, strict=True)),
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="burst",
        group=GROUP,
        stages=(5,),
        title="A bounded queue and a burst",
        question="How many of 200 does a queue of 100 accept, and what is said to the rest?",
        mode="both",
        run=burst,
        command="python -m clients.stress 5 --spawn --requests 200",
    ),
    Experiment(
        id="pool",
        group=GROUP,
        stages=(5, 6),
        title="Four workers instead of one",
        question="Do four workers do four times the work?",
        mode="both",
        run=pool,
        command="python -m clients.stress 6 --spawn",
    ),
)
