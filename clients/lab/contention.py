"""Stage 7's own words: the 500 ms table that does not fit, and the contention formula."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from trio_stages.model import service_rate_per_s

from . import published
from .hotlock import GROUP, points_of, saturated
from .registry import Experiment, Findings
from .results import Axis, Column, Mark, Plot, Series, Table
from .twins import VIRTUAL
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench


async def plateau(bench: Bench) -> Findings:
    """The document's 500 ms table, whose plateau does not fit its own 100 jobs/s."""
    low, high = published.PLATEAU_PER_S
    needed_ms = 1000 / ((low + high) / 2)
    counts = [workers for workers, _, _ in published.PLATEAU]
    arguments = [(n, 500.0, hold) for hold in (10.0, needed_ms) for n in counts]
    simulated = await bench.compute(saturated, arguments)
    ours, long_holds = simulated[: len(counts)], simulated[len(counts) :]
    rates = [each.busy_per_s for each in ours]
    long_rates = [each.busy_per_s for each in long_holds]
    model = [service_rate_per_s(n, 0.5, 0.01, one_lock=True) for n in counts]
    return Findings(
        tables=(
            Table(
                title="500 ms of work outside the lock, 10 ms inside, in virtual time",
                columns=(
                    Column("workers", "", "setting"),
                    Column("expected there", "jobs/s", "document"),
                    Column("said to happen", "", "document"),
                    Column("virtual time", "jobs/s", "virtual", 1),
                    Column("model", "jobs/s", "model", 1),
                    Column(f"with a hold of {needed_ms:.0f} ms", "jobs/s", "virtual", 1),
                ),
                rows=tuple(
                    (float(n), float(expected), words, known(rate), known(bound), known(long_rate))
                    for (n, expected, words), rate, bound, long_rate in zip(
                        published.PLATEAU, rates, model, long_rates, strict=True
                    )
                ),
                caption=f"{sum(each.virtual_s for each in simulated):,.0f} virtual seconds.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="The 500 ms table: where would 10 to 12 jobs/s come from?",
                x=Axis("workers", "", log=True),
                y=Axis("throughput", "jobs/s", log=True),
                series=(
                    Series(
                        name="the document's expectation",
                        role="document",
                        points=tuple((float(n), float(e)) for n, e, _ in published.PLATEAU),
                    ),
                    points_of("hold 10 ms", "virtual", dict(zip(counts, rates, strict=True))),
                    points_of(
                        f"hold {needed_ms:.0f} ms",
                        "hold",
                        dict(zip(counts, long_rates, strict=True)),
                    ),
                ),
                marks=(
                    Mark("plateau of the document", "y", (low + high) / 2, "document"),
                    Mark("1 / 10 ms", "y", 100.0),
                ),
                caption="A lock that is held for 10 ms lets 100 jobs/s through, not 11.",
                alt="With holds of 10 ms throughput follows the expectation up to 16 workers.",
            ),
        ),
        verdicts=(
            judge(
                "With 16 workers it plateaus at 10 to 12 jobs/s.",
                low <= rates[2] <= high,
                f"{figure(rates[2])} jobs/s: 16 workers need {16 * 0.01 / 0.51:.2f} of the lock's "
                "time, which is no contention",
                "document",
            ),
            agrees(
                "The bound min(workers / 510 ms, 1 / 10 ms) holds within 1 %.",
                rates[3],
                model[3],
                within=VIRTUAL,
                unit="jobs/s",
            ),
        ),
        notes=(
            f"Such a plateau would take a hold of {needed_ms:.0f} ms (then "
            f"{figure(long_rates[2])} jobs/s with 16 workers). The document's stage 7 holds for 10 "
            "ms, and is said to do 100 jobs/s. Nor can more workers be slower here: in virtual "
            "time nothing but a job takes any; `workers` measures that over sockets.",
        ),
    )


# The contention formula: workers, work and hold in ms, varied around the stage's own.
FORMULA = (
    *((workers, 100.0, 10.0) for workers in (2, 4, 8, 11, 12, 16, 24, 32)),
    *((16, 100.0, hold) for hold in (1.0, 2.5, 5.0, 20.0)),
    *((16, work, 10.0) for work in (25.0, 50.0, 150.0, 200.0, 400.0)),
)


async def formula(bench: Bench) -> Findings:
    """Contention cost = workers × hold × access frequency: what it is, and where it bites."""
    simulated = await bench.compute(saturated, list(FORMULA))
    rows = []
    small: list[tuple[float, float, float]] = []
    beyond: list[tuple[float, float, float]] = []
    for (workers, work_ms, hold_ms), each in zip(FORMULA, simulated, strict=True):
        # How often one worker would come to the lock if it never waited.
        frequency_per_s = 1000 / (work_ms + hold_ms)
        cost = workers * hold_ms / 1000 * frequency_per_s
        # After the start: at first they come together, however seldom later.
        waits = [
            p.got_s - p.asked_s
            for p in each.recording.passages[len(each.recording.passages) // 2 :]
        ]
        wait_ms = fmean(waits) * 1000
        lost = 1 - each.busy_per_s / (workers * frequency_per_s)
        rows.append((workers, work_ms, hold_ms, cost, wait_ms, 100 * lost, each.busy_per_s))
        (small if cost <= 1 else beyond).append((cost, wait_ms / hold_ms, lost))
    base = rows[FORMULA.index((16, 100.0, 10.0))]
    fewer = rows[FORMULA.index((8, 100.0, 10.0))]
    shorter = rows[FORMULA.index((16, 100.0, 5.0))]
    rarer = rows[FORMULA.index((16, 200.0, 10.0))]
    ordered = sorted((row[3], row[5]) for row in rows)
    return Findings(
        tables=(
            Table(
                title="The contention formula, one factor at a time, in virtual time",
                columns=(
                    Column("workers", "", "setting"),
                    Column("work", "ms", "setting", 1),
                    Column("hold", "ms", "setting", 1),
                    Column("workers × hold × frequency", "", "model", 2),
                    Column("mean wait", "ms", "wait", 1),
                    Column("throughput lost", "%", "virtual", 1),
                    Column("throughput", "jobs/s", "virtual", 1),
                ),
                rows=tuple(
                    (float(row[0]), *(known(value) for value in row[1:]))
                    for row in sorted(rows, key=lambda row: row[3])
                ),
                caption="Frequency: how often one worker comes to the lock if it never waits, "
                "1 / (work + hold). The product is a share of the lock's time.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="What the contention formula tells",
                x=Axis("workers × hold × frequency", "of the lock's time", log=True),
                y=Axis("throughput lost to waiting", "%"),
                series=(
                    Series(
                        name="virtual time",
                        role="virtual",
                        points=tuple((cost, lost) for cost, lost in ordered),
                        style="points",
                    ),
                    Series(
                        name="model: 1 - 1 / product",
                        role="model",
                        points=tuple(
                            (cost / 10, 100 * max(0.0, 1 - 10 / cost)) for cost in range(1, 61)
                        ),
                    ),
                ),
                marks=(Mark("the lock is full", "x", 1.0),),
                caption="Below 1 the lock has time for all; beyond it, the product says exactly "
                "how much is lost.",
                alt="Nothing is lost below 1, then the loss follows 1 - 1 / product.",
            ),
        ),
        verdicts=(
            judge(
                "Reducing any of the three factors reduces contention.",
                max(fewer[4], shorter[4], rarer[4]) < base[4],
                f"mean wait {base[4]:.1f} ms; with half the workers {fewer[4]:.1f}, half the hold "
                f"{shorter[4]:.1f}, half the frequency {rarer[4]:.1f} ms",
                "document",
            ),
            judge(
                "The product is the share of the lock's time that is asked for: up to 1 next to "
                "nothing is lost, beyond it 1 - 1 / product, whichever factor made it.",
                all(abs(lost) < 0.02 for _, _, lost in small)
                and all(abs(lost - (1 - 1 / cost)) < 0.02 for cost, _, lost in beyond),
                f"up to 1: at most {100 * max(lost for _, _, lost in small):.1f} % lost; beyond: "
                f"off by at most "
                f"{100 * max(abs(lost - 1 + 1 / cost) for cost, _, lost in beyond):.2f} points",
                "model",
            ),
        ),
        notes=(
            "The formula reads like a cost that grows evenly, and is a share with a knee. **Below "
            "1** the lock has time for everybody (here, where arrivals are spread, the longest "
            f"mean wait was {max(wait for _, wait, _ in small):.2f} holds); **beyond 1** each "
            "further worker adds a whole hold to everybody's wait "
            f"(up to {max(wait for _, wait, _ in beyond):.0f} holds).",
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="plateau",
        group=GROUP,
        stages=(7,),
        title="The table that does not fit",
        question="Do 16 workers with 500 ms jobs get stuck at 10 to 12 jobs/s?",
        mode="virtual",
        run=plateau,
        command="python -m trio_stages 7 --work-ms 500 --workers 16",
    ),
    Experiment(
        id="formula",
        group=GROUP,
        stages=(7,),
        title="The contention formula",
        question="What does workers × hold × frequency measure?",
        mode="virtual",
        run=formula,
    ),
)
