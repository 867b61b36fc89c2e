"""Where the document's 11× comes from: five changes at once, taken one by one.

From stage 7 to stage 8 the queue becomes ten times as long, work and hold ten times as short, the
users five times as many, and the mutex a sharded map. Each change multiplies what is accepted by
some factor, and the factors multiply to the whole, so that their logarithms add up: a step's share
is ``log(factor) ÷ log(whole)``. The changes interact, so a step's factor depends on those before
it. Two orders are two answers; the mean over all 120 orders is Shapley's value (L. S. Shapley, "A
value for n-person games", 1953), the only fair division there is, by his axioms.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from . import published
from .controlled import measured
from .factors import BASES, settled
from .registry import Experiment, Findings
from .results import Axis, Bar, Column, Comparison, Plot, Table
from .verdicts import figure, judge, known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .bench import Bench
    from .results import Role

FROM, TO = BASES["stage 7"], BASES["stage 8"]
STEPS = ("capacity", "work_ms", "hold_ms", "users", "state")
LABELS = {
    "capacity": "queue 100 → 1000",
    "work_ms": "work 100 → 10 ms",
    "hold_ms": "hold 10 → 1 ms",
    "users": "20 → 100 users",
    "state": "mutex → sharded",
}

Taken = frozenset[str]
"""The steps that have been taken."""


def settings_after(taken: Taken) -> dict[str, Any]:
    """Stage 7's settings with these steps taken."""
    return FROM | {step: TO[step] for step in taken}


class Share(NamedTuple):
    """What one step bought: by which factor, and how much of the whole, in percent."""

    step: str
    before: float
    after: float
    factor: float
    percent: float


def shares_in_order(values: Mapping[Taken, float], order: Sequence[str]) -> list[Share]:
    """What each step bought when they are taken in this order.

    Args:
        values: what was measured after these steps; at least those on the way.
        order: all steps.

    Returns:
        One a step; the factors multiply to the whole, the percentages add up to 100.
    """
    whole = math.log(values[frozenset(order)] / values[frozenset()])
    shares = []
    for number, step in enumerate(order):
        before, after = values[frozenset(order[:number])], values[frozenset(order[: number + 1])]
        factor = after / before
        percent = 100 * math.log(factor) / whole if whole else 0.0
        shares.append(Share(step, before, after, factor, percent))
    return shares


def fair_shares(values: Mapping[Taken, float], steps: Sequence[str]) -> dict[str, float]:
    """Shapley's value of each step, in percent of the whole: the mean over all orders.

    Args:
        values: what was measured after every subset of the steps.
        steps: all of them.
    """
    count = len(steps)
    logs = {taken: math.log(value) for taken, value in values.items()}
    whole = logs[frozenset(steps)] - logs[frozenset()]
    shares = {}
    for step in steps:
        others = [each for each in steps if each != step]
        mean = math.fsum(
            math.factorial(size)
            * math.factorial(count - size - 1)
            / math.factorial(count)
            * (logs[frozenset((*before, step))] - logs[frozenset(before)])
            for size in range(count)
            for before in combinations(others, size)
        )
        shares[step] = 100 * mean / whole if whole else 0.0
    return shares


async def decompose(bench: Bench) -> Findings:
    """All 32 combinations in virtual time, and the document's order over sockets."""
    subsets = [
        frozenset(taken) for size in range(len(STEPS) + 1) for taken in combinations(STEPS, size)
    ]
    simulated = await bench.compute(settled, [(settings_after(taken),) for taken in subsets])
    accepted = {t: float(each.accepted) for t, each in zip(subsets, simulated, strict=True)}
    rates = {t: each.busy_per_s for t, each in zip(subsets, simulated, strict=True)}
    backwards = STEPS[::-1]
    real_accepted: dict[Taken, float] = {}
    real_rates: dict[Taken, float] = {}
    for number in range(len(STEPS) + 1):
        taken = frozenset(STEPS[:number])
        flooded = await measured(bench, settings_after(taken))
        real_accepted[taken] = float(flooded.result.accepted)
        real_rates[taken] = flooded.drain_per_s

    forward, reverse = shares_in_order(accepted, STEPS), shares_in_order(accepted, backwards)
    fair, fair_rate = fair_shares(accepted, STEPS), fair_shares(rates, STEPS)
    real = shares_in_order(real_accepted, STEPS)
    rate_forward = shares_in_order(rates, STEPS)
    rate_reverse = shares_in_order(rates, backwards)
    real_rate = shares_in_order(real_rates, STEPS)
    whole = accepted[frozenset(STEPS)] / accepted[frozenset()]
    real_whole = real_accepted[frozenset(STEPS)] / real_accepted[frozenset()]
    rate_whole = rates[frozenset(STEPS)] / rates[frozenset()]

    kinds: tuple[tuple[str, Role, dict[str, float]], ...] = (
        ("accepted", "accepted", fair),
        ("jobs/s", "goodput", fair_rate),
    )

    def of(shares: Sequence[Share], step: str) -> Share:
        return next(share for share in shares if share.step == step)

    last, first = of(forward, "state"), of(reverse, "state")
    rate_last, rate_first = of(rate_forward, "state"), of(rate_reverse, "state")
    inside = {
        (row.state, row.capacity, row.work_ms): row for row in published.CONTROLLED if row.inside
    }
    first_row, mutex = inside["mutex", 100, 100], inside["mutex", 1000, 10]
    last_row = inside["sharded", 1000, 10]
    bought = sorted({f"{share.factor:.2f}" for share in (rate_first, rate_last)}, key=float)
    alone = (
        f"In virtual time: sharding by itself, with everything else as stage 7 has it, bought "
        f"**{first.factor:.2f}×** in accepted; as the last of the five changes "
        f"**{last.factor:.2f}×**, which is {last.percent:.0f} % of the {whole:.1f}× (in the mean "
        f"of all orders {fair['state']:.0f} %). The longer queue alone bought "
        f"{of(forward, 'capacity').factor:.1f}×, {of(forward, 'capacity').percent:.0f} % (in the "
        f"mean of all orders {fair['capacity']:.0f} %). In jobs per second "
        f"sharding bought {' to '.join(bought)}×, the queue nothing. Over sockets, taken last: "
        f"{of(real, 'state').factor:.2f}× in accepted, {of(real_rate, 'state').factor:.2f}× in "
        "jobs per second, for there a hold of 1 ms is longer than it is set, and one lock feels it."
    )

    def table(title: str, column: Callable[[str], tuple[float | None, ...]], unit: str) -> Table:
        return Table(
            title=title,
            columns=(
                Column("step", "", "setting"),
                Column("in this order", "×", "virtual", 2),
                Column("share", "%", "factor", 1),
                Column("in reverse order", "×", "virtual", 2),
                Column("share", "%", "factor", 1),
                Column("mean of all orders, share", "%", "factor", 1),
                Column("over sockets, in this order", "×", "measured", 2),
                Column("share", "%", "measured", 1),
            ),
            rows=(
                *((LABELS[step], *column(step)) for step in STEPS),
                ("all together", *column("")),
            ),
            caption=f"Factors of {unit}; they multiply to the last row, the shares add up to 100.",
        )

    def column(
        one: Sequence[Share],
        two: Sequence[Share],
        mean: Mapping[str, float],
        sockets: Sequence[Share],
    ) -> Callable[[str], tuple[float | None, ...]]:
        def cells(step: str) -> tuple[float | None, ...]:
            if step:
                a, b, c = of(one, step), of(two, step), of(sockets, step)
                return (
                    known(a.factor), known(a.percent), known(b.factor), known(b.percent),
                    known(mean[step]), known(c.factor), known(c.percent),
                )  # fmt: skip
            product = [math.prod(share.factor for share in each) for each in (one, two, sockets)]
            total = [sum(share.percent for share in each) for each in (one, two, sockets)]
            return (
                known(product[0]), known(total[0]), known(product[1]), known(total[1]),
                known(sum(mean.values())), known(product[2]), known(total[2]),
            )  # fmt: skip

        return cells

    return Findings(
        comparisons=(
            Comparison(
                quantity="stage 8 ÷ stage 7, accepted",
                unit="×",
                document=published.DOCUMENT_IMPROVEMENT,
                original=known(
                    published.ORIGINAL_STAGE_8.accepted / published.ORIGINAL_STAGE_7.accepted
                ),
                measured=known(real_whole),
                virtual=known(whole),
                digits=1,
                note="the original's stage 8 holds outside of its lock; ours, and below, inside",
            ),
            Comparison(
                quantity="of which sharding, taken last",
                unit="×",
                document="all of it",
                original=known(last_row.accepted / mutex.accepted),
                measured=known(of(real, "state").factor),
                virtual=known(last.factor),
                digits=2,
            ),
            Comparison(
                quantity="stage 8 ÷ stage 7, jobs/s",
                unit="×",
                original=known(last_row.drain_per_s / first_row.drain_per_s),
                measured=known(real_rates[frozenset(STEPS)] / real_rates[frozenset()]),
                virtual=known(rate_whole),
                digits=1,
            ),
        ),
        tables=(
            table(
                "What each change bought: accepted",
                column(forward, reverse, fair, real),
                "what is accepted of a flood of 0.39 s",
            ),
            table(
                "What each change bought: jobs/s",
                column(rate_forward, rate_reverse, fair_rate, real_rate),
                "the rate at which the backlog is worked off",
            ),
        ),
        plots=(
            _waterfall("Shares of the 11× in the document's order", forward, whole),
            _waterfall("The same changes in reverse order", reverse, whole),
            Plot(
                kind="bars",
                title="What each change bought of accepted, and of jobs/s: mean of all orders",
                x=Axis("change"),
                y=Axis("share", "%"),
                bars=tuple(
                    Bar(LABELS[step], round(shares[step], 3), role, name)
                    for name, role, shares in kinds
                    for step in STEPS
                ),
                caption="The queue is what was accepted; the shorter hold and work are the rate.",
                alt="The queue has most of accepted and nothing of the rate.",
            ),
        ),
        verdicts=(
            judge(
                "The 11× is there: 9.5 to 12.5×.",
                9.5 <= whole <= 12.5 and 9.5 <= real_whole <= 12.5,
                f"{whole:.1f}× in virtual time, {real_whole:.1f}× over sockets",
                "document",
            ),
            judge(
                "DashMap (sharding) gave the 11×.",
                last.percent > 50 or first.percent > 50,
                f"{first.factor:.2f}× when it comes first ({first.percent:.1f} %), "
                f"{last.factor:.2f}× when it comes last ({last.percent:.1f} %); over sockets "
                f"{of(real, 'state').factor:.2f}× when it comes last",
                "document",
            ),
            judge(
                "Ten times the queue bought more than the other four changes together.",
                fair["capacity"] > 50,
                f"{fair['capacity']:.0f} % in the mean of all orders: "
                f"{of(forward, 'capacity').percent:.0f} % taken first, "
                f"{of(reverse, 'capacity').percent:.0f} % taken last",
            ),
            judge(
                "The number of users bought nothing.",
                abs(fair["users"]) < 2,
                f"{fair['users']:.2f} %",
            ),
            judge(
                "In virtual time sharding buys 1.4 to 1.5× in jobs/s, once everything else is as "
                "stage 8 has it.",
                1.4 <= rate_last.factor <= 1.5,
                f"{figure(rate_last.before)} → {figure(rate_last.after)} jobs/s: "
                f"{rate_last.factor:.2f}×",
            ),
            judge(
                "Over sockets, too.",
                1.4 <= of(real_rate, "state").factor <= 1.5,
                f"{figure(of(real_rate, 'state').before)} → "
                f"{figure(of(real_rate, 'state').after)} jobs/s: "
                f"{of(real_rate, 'state').factor:.2f}×",
                of=(of(real_rate, "state").factor,),
            ),
        ),
        notes=(alone,),
    )


def _waterfall(title: str, shares: Sequence[Share], whole: float) -> Plot:
    return Plot(
        kind="waterfall",
        title=title,
        x=Axis("change, from left to right"),
        y=Axis("share of log(accepted)", "%"),
        bars=(
            *(
                Bar(
                    f"{LABELS[share.step]} ({share.factor:.2f}×)",
                    round(share.percent, 4),
                    "factor",
                )
                for share in shares
            ),
            Bar(f"all ({whole:.1f}×)", 100.0, "total"),
        ),
        caption="Factors multiply, their logarithms add up.",
        alt=title
        + ": "
        + ", ".join(f"{LABELS[share.step]} {share.percent:.0f} %" for share in shares),
    )


EXPERIMENTS = (
    Experiment(
        id="decomposition",
        group="The controlled comparison",
        stages=(7, 8),
        title="Where the 11× comes from",
        question="Five things change between stage 7 and stage 8. Which of them bought what?",
        mode="both",
        run=decompose,
    ),
)
