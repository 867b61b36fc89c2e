"""Clients that send whatever the server does: offered load against goodput, from 0.1 to 2×.

A closed loop of 200 connections slows down with its server and hides what overload does to
latency. Here arrivals come on a schedule, and a request's latency counts from the moment it was to
be sent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from clients.loads import Load
from trio_stages.queueing import MMCK, little_s

from .registry import Experiment, Findings
from .results import Axis, Column, Comparison, Mark, Plot, Series, Table
from .steady import CAPACITY, JOB_MS, RATE_PER_S, USERS, WORKERS, Point, offered, theory
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients.arrivals import Arrivals

    from .bench import Bench
    from .results import Cell, Verdict

GROUP = "Open loop"
LOADS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0)
REAL_LOADS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0)
QUICK_REAL_LOADS = (0.5, 0.9, 1.2, 2.0)
REAL_S, QUICK_REAL_S = 3.0, 1.2
JOBS, QUICK_JOBS = 20_000, 3_000
# Where a queue fills or empties slowly, it takes longer to come to its steady state.
SLOW, SLOWER = (0.9, 1.1), 2
# Constant jobs are there to be looked at beside the others, not to be held against a theory.
LESS = 2


async def sweep(bench: Bench) -> Findings:
    """Offered load against goodput, delay and refusals."""
    jobs = QUICK_JOBS if bench.quick else JOBS
    kinds: dict[str, tuple[Arrivals, bool]] = {
        "Poisson, random jobs": ("poisson", True),
        "Poisson, constant jobs": ("poisson", False),
        "constant, constant jobs": ("constant", False),
    }
    cases = []
    for arrivals, exponential in kinds.values():
        for load in LOADS:
            count = jobs if exponential else jobs // LESS
            slow = exponential and SLOW[0] <= load <= SLOW[1]
            cases.append((load, arrivals, exponential, count * SLOWER if slow else count))
    points = await bench.compute(offered, cases)
    bench.virtual_s += sum(count / (load * RATE_PER_S) for load, *_, count in cases)
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
    random, twin = virtual["Poisson, random jobs"], virtual["Poisson, constant jobs"]
    rows: list[tuple[Cell, ...]] = []
    for load in sorted({*LOADS, *real["Poisson"]}):
        model = theory(load)
        own = real["Poisson"].get(load)
        simulated, at_random = twin.get(load), random.get(load)
        p50_s, p99_s = latencies.get(("Poisson", load), (math.nan, math.nan))
        rows.append(
            (
                load,
                known(own.goodput_per_s) if own else None,
                known(simulated.goodput_per_s) if simulated else None,
                known(at_random.goodput_per_s) if at_random else None,
                known(model.goodput_per_s),
                known(100 * own.refused_share) if own else None,
                known(100 * simulated.refused_share) if simulated else None,
                known(100 * at_random.refused_share) if at_random else None,
                known(100 * model.refused_share),
                known(own.delay_p99_s * 1000) if own else None,
                known(simulated.delay_p99_s * 1000) if simulated else None,
                known(at_random.delay_p99_s * 1000) if at_random else None,
                known(model.delay_quantile_s(0.99) * 1000),
                known(p50_s * 1000),
                known(p99_s * 1000),
            )
        )
    return Findings(
        comparisons=_comparisons(real, twin, models),
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
    twin: dict[float, Point],
    models: dict[float, MMCK],
) -> tuple[Comparison, ...]:
    over, note = real["Poisson"][2.0], "the model's jobs take random times"
    return (
        Comparison(
            quantity="goodput at twice the capacity",
            unit="jobs/s",
            measured=known(over.goodput_per_s),
            virtual=known(twin[2.0].goodput_per_s),
            model=known(models[2.0].goodput_per_s),
        ),
        Comparison(
            quantity="refused at twice the capacity",
            unit="%",
            measured=known(100 * over.refused_share),
            virtual=known(100 * twin[2.0].refused_share),
            model=known(100 * models[2.0].refused_share),
            digits=1,
        ),
        Comparison(
            quantity="queue delay at twice the capacity, p99",
            unit="ms",
            measured=known(1000 * over.delay_p99_s),
            virtual=known(1000 * twin[2.0].delay_p99_s),
            model=known(1000 * models[2.0].delay_quantile_s(0.99)),
            digits=1,
            note=note,
        ),
        Comparison(
            quantity="queue delay at 0.9 of the capacity, p99",
            unit="ms",
            measured=known(1000 * real["Poisson"][0.9].delay_p99_s),
            virtual=known(1000 * twin[0.9].delay_p99_s),
            model=known(1000 * models[0.9].delay_quantile_s(0.99)),
            digits=1,
            note=note,
        ),
    )


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Poisson arrivals, from 0.1 to 2× the capacity",
        columns=(
            Column("offered", "× capacity", "offered", 2),
            Column("goodput, over sockets", "jobs/s", "measured"),
            Column("goodput, virtual time", "jobs/s", "virtual"),
            Column("goodput, virtual time, random jobs", "jobs/s", "virtual"),
            Column("goodput, M/M/c/K", "jobs/s", "model"),
            Column("refused, over sockets", "%", "measured", 1),
            Column("refused, virtual time", "%", "virtual", 1),
            Column("refused, virtual time, random jobs", "%", "virtual", 1),
            Column("refused, M/M/c/K", "%", "model", 1),
            Column("queue delay p99, over sockets", "ms", "measured", 1),
            Column("queue delay p99, virtual time", "ms", "virtual", 1),
            Column("queue delay p99, virtual time, random jobs", "ms", "virtual", 1),
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
    poisson = virtual["Poisson, constant jobs"]
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
            "M/M/c/K predicts the mean queue delay at 2× in virtual time, within 5 %.",
            random[2.0].delay_s * 1000,
            models[2.0].delay_s * 1000,
            within=0.05,
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
            constant[0.9].delay_p99_s < 1e-6 < poisson[0.9].delay_p99_s,
            f"queue delay p99 at 0.9×: {constant[0.9].delay_p99_s * 1000:.2f} ms constant, "
            f"{poisson[0.9].delay_p99_s * 1000:.1f} ms Poisson (constant jobs, virtual time)",
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
