"""How long should a queue be? What it accepts, what its jobs wait for, and what they weigh."""

from __future__ import annotations

import gc
import math
import tracemalloc
from typing import TYPE_CHECKING

import trio

from clients.loads import LOADS, Load
from trio_stages.events import parse_event
from trio_stages.jobs import Job
from trio_stages.queueing import little_s

from . import published
from .recording import quantile
from .registry import Experiment, Findings
from .results import Axis, Column, Comparison, Mark, Plot, Series, Table
from .simulate import Simulated, flood, settings_of, simulate
from .steady import offered
from .twins import simulate_flood
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench

# By which goodput at the capacity is known to a per cent or two.
BUNCHED_JOBS = 10_000
GROUP = "The document's tables: queue sizing"
RATE_PER_S = 16 / 0.011
# A flood that fills even the largest queue, all at once.
OVERFULL = 1.02
WEIGHED_JOBS = 10_000
MEGABYTE = 1e6


def overfilled(capacity: int) -> Simulated:
    """Stage 8 with a queue of so many places, and all of them taken in one moment."""
    requests = int(capacity * OVERFULL) + 50
    settings = settings_of(8, capacity=capacity)
    return simulate(8, flood([0.0] * requests, [i % 100 for i in range(requests)]), settings)


def bytes_per_job(jobs: int) -> float:
    """What one queued job weighs: its event as it is parsed from a body, and its place.

    Args:
        jobs: to take the average over; each has a user of its own, as in the worst case.
    """
    bodies = [b'{"user":"user%06d","action":"deposit","amount":%d}' % (i, i) for i in range(jobs)]
    send, receive = trio.open_memory_channel[Job](jobs)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()

        async def fill() -> None:
            for body in bodies:
                send.send_nowait(Job(parse_event(body)))

        trio.run(fill)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del receive
    return (after - before) / jobs


async def sizing(bench: Bench) -> Findings:
    """The document's sizing table at stage 8, and its rule of thumb."""
    sizes = [capacity for capacity, _ in published.SIZES]
    load = LOADS[8]
    (weight,) = await bench.compute(bytes_per_job, [(WEIGHED_JOBS,)])
    rule = [places for places, _ in published.SIZING_RULE]
    # A hundred thousand jobs take a while even where time does not; a tenth of them says the same.
    filled = [size if size < 100_000 or not bench.quick else size // 10 for size in sizes]
    full = await bench.compute(overfilled, [(size,) for size in (*reversed(filled), *rule)])
    delays_s = {
        each.settings.capacity: quantile(sorted(each.recording.delays_s), 0.99) for each in full
    }
    drains_s = {each.settings.capacity: each.recording.emptied_s for each in full}
    duration_s = published.DOCUMENT_DURATION_S[8]
    floods = await bench.compute(
        simulate_flood, [(8, load, duration_s, {"capacity": size}, 10, 64.0) for size in sizes]
    )
    # Where as much comes as can be done, a queue is for what chance bunches together.
    few, many = await bench.compute(
        offered,
        [(1.0, "poisson", True, BUNCHED_JOBS, size) for size in (10, 1000)],
    )
    measured = {}
    grown = 0.0
    for size in sizes:
        flooding = load
        if size > load.requests:
            if bench.quick:  # it takes 69 s to drain
                continue
            flooding = Load(requests=int(1.2 * size), concurrency=200, users=100)
        flooded = await bench.flood(8, flooding, ["--capacity", str(size)])
        measured[size] = flooded
        if flooded.result.accepted > 10_000:
            grown = flooded.grown_bytes / flooded.stats["queued"]
    rows = []
    for (size, words), simulated in zip(published.SIZES, floods, strict=True):
        real = measured.get(size)
        real_delay_s = quantile(sorted(real.recording.delays_s), 0.99) if real else math.nan
        rows.append(
            (
                float(size),
                words,
                real.result.accepted if real and size <= load.requests else None,
                simulated.accepted,
                known(real_delay_s),
                known(delays_s.get(size, math.nan)),
                known(little_s(size, RATE_PER_S)),
                known(size * weight / MEGABYTE),
            )
        )
    largest = sizes[-1]
    drain_s = drains_s[filled[-1]] * largest / filled[-1]
    drained = f"{filled[-1]:,} drained in {drains_s[filled[-1]]:.2f} virtual seconds"
    megabytes = largest * weight / MEGABYTE
    points = tuple(
        (float(size), delay_s) for size, delay_s in sorted(delays_s.items()) if delay_s > 0
    )
    refused = [1 - each.accepted / load.requests for each in floods]
    return Findings(
        comparisons=(
            Comparison(
                quantity="time to drain a queue of 100,000",
                unit="s",
                document=published.DRAIN_OF_100_000_S,
                measured=known(quantile(sorted(measured[largest].recording.delays_s), 1.0))
                if largest in measured
                else None,
                virtual=known(drain_s),
                model=known(little_s(largest, RATE_PER_S)),
                digits=1,
            ),
            Comparison(
                quantity="memory of one queued job",
                unit="bytes",
                document="100, 500 to 1000 with its strings",
                measured=known(weight),
                note="its objects, each job with a user of its own",
            ),
            Comparison(
                quantity="resident memory gained, by queued job",
                unit="bytes",
                measured=known(grown) if grown else None,
                note="over sockets with 100,000 places; in the full run only",
            ),
            Comparison(
                quantity="memory of a queue of 100,000",
                unit="MB",
                document="10 at least, 50 to 100",
                measured=known(megabytes),
                digits=1,
            ),
        ),
        tables=(
            Table(
                title="Stage 8 with queues of four sizes, 5000 requests at a time",
                columns=(
                    Column("places", "", "setting"),
                    Column("the document's words", "", "document"),
                    Column("accepted over sockets", "", "measured"),
                    Column("accepted in virtual time", "", "virtual"),
                    Column("queue delay over sockets, p99", "s", "measured", 3),
                    Column("queue delay when full, p99", "s", "virtual", 3),
                    Column("places / 1455 per s", "s", "model", 3),
                    Column("memory when full", "MB", "measured", 2),
                ),
                rows=tuple(rows),
                caption="In virtual time the flood lasts as long as the document's, 0.46 s; the "
                "delay is that of a queue that was filled in one moment.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="What a place in the queue costs: the wait of the last one in it",
                x=Axis("places in the queue", "", log=True),
                y=Axis("queue delay, p99", "s", log=True),
                series=(
                    Series(
                        name="virtual time, full", role="virtual", points=points, style="points"
                    ),
                    Series(
                        name="over sockets, p99",
                        role="measured",
                        points=tuple(
                            (float(size), quantile(sorted(each.recording.delays_s), 0.99))
                            for size, each in sorted(measured.items())
                        ),
                        style="points",
                    ),
                    Series(
                        name="model: places / rate",
                        role="model",
                        points=tuple(
                            (float(size), little_s(size, RATE_PER_S)) for size in sorted(delays_s)
                        ),
                    ),
                ),
                marks=(
                    Mark("half a second", "y", 0.5, "document"),
                    Mark("two seconds", "y", 2.0, "document"),
                ),
                caption="A longer queue buys no throughput. It sells waiting, and is paid in "
                "memory.",
                alt="The delay grows in proportion to the places: 0.7 s for 1000, 69 s for "
                "100,000.",
            ),
        ),
        verdicts=(
            *(
                agrees(
                    f"Queue size ≈ throughput × acceptable latency: {places} places are "
                    f"{latency_s:g} s.",
                    delays_s[places],
                    latency_s,
                    within=0.1,
                    unit="s",
                    source="document",
                )
                for places, latency_s in published.SIZING_RULE
            ),
            judge(
                "100,000 places are a wait of 69 s.",
                abs(drain_s / published.DRAIN_OF_100_000_S - 1) < 0.02,
                f"{drain_s:.1f} s ({drained})",
                "document",
            ),
            judge(
                "100,000 queued jobs are at least 10 MB, possibly 50 to 100.",
                megabytes >= 10,
                f"{megabytes:.0f} MB: {weight:.0f} bytes each",
                "document",
            ),
            judge(
                "They are a memory bomb: out of memory before anything is refused.",
                megabytes > 1000,
                f"{megabytes:.0f} MB is what a small process has anyway; the wait of "
                f"{drain_s:.0f} s is what hurts",
                "document",
            ),
            judge(
                "A small queue refuses more.",
                refused == sorted(refused, reverse=True),
                ", ".join(
                    f"{size:,}: {100 * share:.0f} %"
                    for size, share in zip(sizes, refused, strict=True)
                ),
                "document",
            ),
            judge(
                "A small queue wastes capacity: ten places keep sixteen workers less busy.",
                few.goodput_per_s < 0.95 * many.goodput_per_s,
                f"{figure(few.goodput_per_s)} jobs/s with 10 places, "
                f"{figure(many.goodput_per_s)} with 1000, of just as many as are possible (Poisson "
                "arrivals, random jobs, virtual time); none while overloaded: "
                f"{figure(floods[0].busy_per_s)} and {figure(floods[2].busy_per_s)}",
                "document",
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="sizing",
        group=GROUP,
        stages=(8,),
        title="10, 100, 1000, 100,000 places",
        question="What does a longer queue buy, and what does it cost?",
        mode="both",
        run=sizing,
        command="python -m clients.stress 8 --spawn -- --capacity 10",
    ),
)
