"""Clients that send whatever the server does: offered load against goodput, from 0.1 to 2×.

A closed loop of 200 connections slows down with its server and hides what overload does to
latency. Here arrivals come on a schedule, and a request's latency counts from the moment it was to
be sent.
"""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from clients.arrivals import schedule_s, users_of
from clients.loads import Load
from trio_stages.queueing import MMCK, little_s

from .recording import Recording, quantile
from .registry import Experiment, Findings
from .results import Axis, Column, Comparison, Mark, Plot, Series, Table
from .simulate import RandomTimes, flood, settings_of, simulate
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients.arrivals import Arrivals

    from .bench import Bench
    from .results import Cell, Verdict

GROUP = "Open loop"
WORKERS, JOB_MS, CAPACITY, USERS = 16, 11.0, 100, 100
RATE_PER_S = WORKERS / (JOB_MS / 1000)
LOADS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3, 1.6, 2.0)
REAL_LOADS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0)
QUICK_REAL_LOADS = (0.5, 0.9, 1.2, 2.0)
REAL_S, QUICK_REAL_S = 3.0, 1.2
JOBS, QUICK_JOBS = 20_000, 2_500
# Of a run, before its steady state.
WARM_UP = 0.2


class Point(NamedTuple):
    """One load's steady state.

    Attributes:
        offered: multiples of the capacity.
        goodput_per_s: jobs done.
        refused_share: of the requests.
        delay_p50_s, delay_p99_s: in the queue.
        queued: jobs in the queue, on average, sampled.
        delay_s: in the queue, on average.
    """

    offered: float
    goodput_per_s: float
    refused_share: float
    delay_p50_s: float
    delay_p99_s: float
    queued: float
    delay_s: float

    @classmethod
    def of(cls, offered: float, recording: Recording) -> Point:
        """Read a recording, from the end of the warm-up to the last arrival."""
        start_s, end_s = recording.started_s, recording.ended_s
        warm_s = start_s + WARM_UP * (end_s - start_s)

        def within(times_s: Sequence[float]) -> int:
            return sum(warm_s <= at <= end_s for at in times_s)

        delays = sorted(
            delay
            for at, delay in zip(recording.taken_s, recording.delays_s, strict=True)
            if warm_s <= at <= end_s
        )
        depth = [
            queued
            for at, queued in recording.queue_depth(2000)
            if warm_s - start_s <= at <= end_s - start_s
        ]
        refused, accepted = within(recording.rejected_s), within(recording.accepted_s)
        return cls(
            offered=offered,
            goodput_per_s=within(recording.completed_s) / (end_s - warm_s),
            refused_share=refused / (refused + accepted),
            delay_p50_s=quantile(delays, 0.5),
            delay_p99_s=quantile(delays, 0.99),
            queued=fmean(depth),
            delay_s=fmean(delays),
        )


def offered(load: float, arrivals: Arrivals, exponential: bool, jobs: int) -> Point:
    """So many requests at a multiple of the capacity, in virtual time."""
    settings = settings_of(
        8, workers=WORKERS, work_ms=JOB_MS, hold_ms=0.0, capacity=CAPACITY, state="per-user"
    )
    if exponential:
        settings = RandomTimes.of(settings, seed=7)
    times_s = schedule_s(arrivals, jobs, load * RATE_PER_S, seed=3)
    simulated = simulate(8, flood(times_s, users_of(jobs, USERS)), settings, drain=False)
    return Point.of(load, simulated.recording)


def theory(load: float) -> MMCK:
    """The model of Poisson arrivals and exponential jobs."""
    return MMCK(load * RATE_PER_S, 1000 / JOB_MS, WORKERS, CAPACITY)


async def sweep(bench: Bench) -> Findings:
    """Offered load against goodput, delay and refusals."""
    jobs = QUICK_JOBS if bench.quick else JOBS
    kinds: dict[str, tuple[Arrivals, bool]] = {
        "Poisson, random jobs": ("poisson", True),
        "Poisson, constant jobs": ("poisson", False),
        "constant, constant jobs": ("constant", False),
    }
    cases = [(load, *kind, jobs) for kind in kinds.values() for load in LOADS]
    points = await bench.compute(offered, cases)
    bench.virtual_s += sum(jobs / (load * RATE_PER_S) for load, *_ in cases)
    virtual: dict[str, dict[float, Point]] = {name: {} for name in kinds}
    for (load, arrivals, exponential, _), point in zip(cases, points, strict=True):
        name = next(n for n, kind in kinds.items() if kind == (arrivals, exponential))
        virtual[name][load] = point

    duration_s = QUICK_REAL_S if bench.quick else REAL_S
    real: dict[str, dict[float, Point]] = {"Poisson": {}, "constant": {}}
    latencies: dict[tuple[str, float], tuple[float, float]] = {}
    options = [
        *("--workers", str(WORKERS), "--work-ms", f"{JOB_MS:g}", "--hold-ms", "0"),
        *("--capacity", str(CAPACITY), "--state", "per-user"),
    ]
    real_kinds: tuple[tuple[str, Arrivals, Sequence[float]], ...] = (
        ("Poisson", "poisson", QUICK_REAL_LOADS if bench.quick else REAL_LOADS),
        ("constant", "constant", (0.9, 2.0) if bench.quick else REAL_LOADS),
    )
    for name, arrivals, loads in real_kinds:
        for load in loads:
            rate_per_s = load * RATE_PER_S
            sent = Load(
                requests=int(rate_per_s * duration_s),
                concurrency=100,
                users=USERS,
                rate_per_s=rate_per_s,
                arrivals=arrivals,
            )
            flooded = await bench.flood(8, sent, options)
            real[name][load] = Point.of(load, flooded.recording)
            latency = flooded.result.latency()
            latencies[name, load] = (latency.p50_s, latency.p99_s)

    models = {load: theory(load) for load in LOADS}
    random = virtual["Poisson, random jobs"]
    rows: list[tuple[Cell, ...]] = []
    for load in sorted({*LOADS, *real["Poisson"]}):
        model = theory(load)
        own = real["Poisson"].get(load)
        simulated = random.get(load)
        p50_s, p99_s = latencies.get(("Poisson", load), (math.nan, math.nan))
        rows.append(
            (
                load,
                known(own.goodput_per_s) if own else None,
                known(simulated.goodput_per_s) if simulated else None,
                known(model.goodput_per_s),
                known(100 * own.refused_share) if own else None,
                known(100 * simulated.refused_share) if simulated else None,
                known(100 * model.refused_share),
                known(own.delay_p99_s * 1000) if own else None,
                known(simulated.delay_p99_s * 1000) if simulated else None,
                known(model.delay_quantile_s(0.99) * 1000),
                known(p50_s * 1000),
                known(p99_s * 1000),
            )
        )
    return Findings(
        comparisons=_comparisons(real, random, models),
        tables=(_table(rows),),
        plots=_plots(virtual, real, latencies),
        verdicts=_verdicts(virtual, real, models, latencies),
        notes=(
            f"{WORKERS} workers, jobs of {JOB_MS:g} ms, {CAPACITY} places, a lock for each user: "
            f"{RATE_PER_S:,.0f} jobs/s are possible. **M/M/c/K** is Poisson arrivals, exponential "
            "jobs, c workers, K places with those in hand; a stage's own jobs take constant "
            "times, which is a little better.",
        ),
    )


def _comparisons(
    real: dict[str, dict[float, Point]],
    random: dict[float, Point],
    models: dict[float, MMCK],
) -> tuple[Comparison, ...]:
    over = real["Poisson"][2.0]
    return (
        Comparison(
            quantity="goodput at twice the capacity",
            unit="jobs/s",
            measured=known(over.goodput_per_s),
            virtual=known(random[2.0].goodput_per_s),
            model=known(models[2.0].goodput_per_s),
        ),
        Comparison(
            quantity="refused at twice the capacity",
            unit="%",
            measured=known(100 * over.refused_share),
            virtual=known(100 * random[2.0].refused_share),
            model=known(100 * models[2.0].refused_share),
            digits=1,
        ),
        Comparison(
            quantity="queue delay at twice the capacity, p99",
            unit="ms",
            measured=known(1000 * over.delay_p99_s),
            virtual=known(1000 * random[2.0].delay_p99_s),
            model=known(1000 * models[2.0].delay_quantile_s(0.99)),
            digits=1,
        ),
        Comparison(
            quantity="queue delay at 0.9 of the capacity, p99",
            unit="ms",
            measured=known(1000 * real["Poisson"][0.9].delay_p99_s),
            virtual=known(1000 * random[0.9].delay_p99_s),
            model=known(1000 * models[0.9].delay_quantile_s(0.99)),
            digits=1,
        ),
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Poisson arrivals, from 0.1 to 2× the capacity",
        columns=(
            Column("offered", "× capacity", "offered", 2),
            Column("goodput, over sockets", "jobs/s", "measured"),
            Column("goodput, virtual time", "jobs/s", "virtual"),
            Column("goodput, M/M/c/K", "jobs/s", "model"),
            Column("refused, over sockets", "%", "measured", 1),
            Column("refused, virtual time", "%", "virtual", 1),
            Column("refused, M/M/c/K", "%", "model", 1),
            Column("queue delay p99, over sockets", "ms", "measured", 1),
            Column("queue delay p99, virtual time", "ms", "virtual", 1),
            Column("queue delay p99, M/M/c/K", "ms", "model", 1),
            Column("latency p50", "ms", "latency", 1),
            Column("latency p99", "ms", "latency", 1),
        ),
        rows=tuple(rows),
        caption="Latency is the reply's, from the intended send time: the queue is behind it.",
    )


def _plots(
    virtual: dict[str, dict[float, Point]],
    real: dict[str, dict[float, Point]],
    latencies: dict[tuple[str, float], tuple[float, float]],
) -> tuple[Plot, ...]:
    curve = [step / 20 for step in range(2, 41)]

    def plot(
        title: str,
        unit: str,
        label: str,
        value: Any,
        model: Any,
        caption: str,
        *,
        log: bool = False,
    ) -> Plot:
        def line(points: dict[float, Point]) -> tuple[tuple[float, float], ...]:
            found = ((load, value(point)) for load, point in sorted(points.items()))
            return tuple((x, y) for x, y in found if math.isfinite(y) and (y > 0 or not log))

        theoretical = ((load, model(theory(load))) for load in curve)
        return Plot(
            kind="offered_vs_goodput",
            title=title,
            x=Axis("offered load", "× capacity"),
            y=Axis(label, unit, log=log),
            series=(
                Series(
                    name="M/M/c/K",
                    role="model",
                    points=tuple((x, y) for x, y in theoretical if y > 0.001 or not log),
                ),
                *(
                    Series(
                        name=f"{name}, virtual time",
                        role="virtual",
                        points=line(points),
                        style="points",
                        group=name,
                    )
                    for name, points in virtual.items()
                ),
                *(
                    Series(
                        name=f"{name}, over sockets",
                        role="measured",
                        points=line(points),
                        style="points",
                        group=name,
                    )
                    for name, points in real.items()
                ),
            ),
            marks=(Mark("capacity", "x", 1.0, "label"),),
            caption=caption,
            alt=f"{title}: the measured points lie along the model's curve.",
        )

    return (
        plot(
            "Offered load against goodput",
            "jobs/s",
            "goodput",
            lambda point: point.goodput_per_s,
            lambda model: model.goodput_per_s,
            "Up to the capacity everything gets done; beyond it, as much as at the capacity. That "
            "it does not fall is what refusing is for.",
        ),
        plot(
            "Offered load against refusals",
            "%",
            "refused",
            lambda point: 100 * point.refused_share,
            lambda model: 100 * model.refused_share,
            "Whatever is beyond the capacity is refused, and by chance a little before.",
        ),
        plot(
            "Offered load against queue delay",
            "ms",
            "queue delay, p99",
            lambda point: 1000 * point.delay_p99_s,
            lambda model: 1000 * model.delay_quantile_s(0.99),
            f"The queue bounds what overload does: {CAPACITY} places are "
            f"{1000 * little_s(CAPACITY, RATE_PER_S):.0f} ms.",
            log=True,
        ),
        Plot(
            kind="offered_vs_goodput",
            title="Offered load against latency, from the intended send time",
            x=Axis("offered load", "× capacity"),
            y=Axis("latency of the reply", "ms", log=True),
            series=tuple(
                Series(
                    name=f"{which}, {name}",
                    role="latency",
                    points=tuple(
                        (load, round(1000 * both[index], 4))
                        for (kind, load), both in sorted(latencies.items())
                        if kind == name
                    ),
                    group=which,
                )
                for name in real
                for index, which in enumerate(("p50", "p99"))
            ),
            marks=(Mark("capacity", "x", 1.0, "label"),),
            caption="Accepted or refused, the client knows within milliseconds.",
            alt="Latency of replies stays in the milliseconds up to twice the capacity.",
        ),
    )


def _verdicts(
    virtual: dict[str, dict[float, Point]],
    real: dict[str, dict[float, Point]],
    models: dict[float, MMCK],
    latencies: dict[tuple[str, float], tuple[float, float]],
) -> tuple[Verdict, ...]:
    random, constant = virtual["Poisson, random jobs"], virtual["constant, constant jobs"]
    off = {load: random[load].goodput_per_s / models[load].goodput_per_s - 1 for load in LOADS}
    worst = max(off, key=lambda load: abs(off[load]))
    shares = {load: random[load].refused_share - models[load].refused_share for load in LOADS}
    worst_share = max(shares, key=lambda load: abs(shares[load]))
    little = {
        load: point.queued / (point.goodput_per_s * point.delay_s)
        for load, point in random.items()
        if load >= 0.9
    }
    worst_little = max(little, key=lambda load: abs(little[load] - 1))
    queued = random[worst_little].queued
    over, at = (
        real["Poisson"][2.0],
        max(point.goodput_per_s for load, point in real["Poisson"].items() if load <= 1.2),
    )
    p99_ms = max(p99 for (_, load), (_, p99) in latencies.items() if load <= 1.2) * 1000
    return (
        agrees(
            f"M/M/c/K predicts goodput in virtual time within 5 %, worst at {worst:g}×.",
            random[worst].goodput_per_s,
            models[worst].goodput_per_s,
            within=0.05,
            unit="jobs/s",
        ),
        judge(
            "M/M/c/K predicts the refused share in virtual time within 3 points, worst at "
            f"{worst_share:g}×.",
            abs(shares[worst_share]) < 0.03,
            f"{100 * random[worst_share].refused_share:.1f} % measured, "
            f"{100 * models[worst_share].refused_share:.1f} % predicted",
            "model",
        ),
        agrees(
            "M/M/c/K predicts the p99 of the queue delay at 2× in virtual time, within 10 %.",
            random[2.0].delay_p99_s * 1000,
            models[2.0].delay_quantile_s(0.99) * 1000,
            within=0.1,
            unit="ms",
        ),
        judge(
            "Little's law: jobs queued = rate × delay, within 5 % wherever there is a queue "
            f"(worst at {worst_little:g}×).",
            abs(little[worst_little] - 1) < 0.05,
            f"{figure(queued)} jobs queued, {figure(queued / little[worst_little])} by rate × "
            "delay",
            "model",
        ),
        judge(
            "Goodput does not collapse beyond the capacity, over sockets.",
            over.goodput_per_s > 0.85 * at,
            f"{figure(over.goodput_per_s)} jobs/s at 2×, at most {figure(at)} up to 1.2×, "
            f"{figure(RATE_PER_S)} possible",
        ),
        agrees(
            "Over sockets M/M/c/K's goodput at 2× is reached within 10 %.",
            over.goodput_per_s,
            models[2.0].goodput_per_s,
            within=0.1,
            unit="jobs/s",
        ),
        judge(
            "Constant arrivals below the capacity never wait; Poisson ones do.",
            constant[0.9].delay_p99_s < 1e-6 < random[0.9].delay_p99_s,
            f"queue delay p99 at 0.9×: {constant[0.9].delay_p99_s * 1000:.2f} ms constant, "
            f"{random[0.9].delay_p99_s * 1000:.1f} ms Poisson (virtual time)",
        ),
        judge(
            "The client is told within 100 ms, counted from the intended send time, up to 1.2×.",
            p99_ms < 100,
            f"p99 {p99_ms:.1f} ms at most",
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="open-loop",
        group=GROUP,
        stages=(8,),
        title="Offered load from 0.1 to 2×",
        question="What becomes of goodput, delay and latency beyond the capacity?",
        mode="both",
        run=sweep,
        command="python -m clients.stress 8 --spawn --rate 2900 -- --capacity 100",
    ),
)
