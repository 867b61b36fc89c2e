"""The controlled comparison: the same workload for every kind of lock, and one factor at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from clients.loads import LOADS

from . import published
from .registry import Experiment, Findings
from .results import Axis, Bar, Cell, Column, Plot, Table
from .twins import simulate_flood
from .verdicts import judge, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bench import Bench
    from .published import Controlled
    from .results import Role
    from .simulate import Simulated

GROUP = "The controlled comparison"
DURATION_S = published.DOCUMENT_DURATION_S[7]
# What is accepted depends on how long a flood lasts, so all of them last as long as the document's,
# at a rate that the machine keeps up with: an open loop, over the original's 200 connections.
RATE_PER_S = 5000.0
LOAD = replace(LOADS[8], requests=round(RATE_PER_S * DURATION_S), rate_per_s=RATE_PER_S)
# Of the backlog over sockets, for its rate.
SETTLE_S, QUICK_SETTLE_S = 2.0, 0.8
ROUNDS = 3
# Requests that come together in virtual time: 2 ms of the flood.
BUNCH = 10


def overrides_of(row: Controlled) -> dict[str, Any]:
    """The row as settings; a hold outside the lock is more work before it."""
    work_ms, hold_ms = row.work_ms, row.hold_ms
    if not row.inside:
        work_ms, hold_ms = work_ms + hold_ms, 0.0
    return {
        "state": row.state,
        "capacity": row.capacity,
        "work_ms": float(work_ms),
        "hold_ms": float(hold_ms),
    }


def options_of(overrides: dict[str, Any]) -> list[str]:
    """The same settings for a command line."""
    words = []
    for name, value in overrides.items():
        words += [
            "--" + name.replace("_", "-"),
            f"{value:g}" if name.endswith("ms") else str(value),
        ]
    return words


async def original(bench: Bench) -> Findings:
    """The original's controlled experiment, made again."""
    rows = published.CONTROLLED
    settle_s = QUICK_SETTLE_S if bench.quick else SETTLE_S
    # In turn, so that a machine that drifts drifts for all of them.
    rounds = [
        [
            await bench.flood(8, LOAD, options_of(overrides_of(row)), settle_s=settle_s)
            for row in rows
        ]
        for _ in range(1 if bench.quick else ROUNDS)
    ]
    runs = list(zip(*rounds, strict=True))
    floods = rounds[0]
    accepted = [median(run.result.accepted for run in each) for each in runs]
    drains = [median(run.drain_per_s for run in each) for each in runs]
    simulated = await bench.compute(
        simulate_flood,
        [
            (8, LOAD, flooded.result.duration_s, overrides_of(row))
            for row, flooded in zip(rows, floods, strict=True)
        ],
    )
    table = []
    for number, (row, flooded, virtual) in enumerate(zip(rows, floods, simulated, strict=True)):
        table.append(
            (
                row.state,
                float(row.capacity),
                float(row.work_ms),
                float(row.hold_ms),
                "in the lock" if row.inside else "outside",
                float(row.accepted),
                accepted[number],
                virtual.accepted,
                known(flooded.predicted_accepted),
                known(flooded.result.duration_s),
                float(row.drain_per_s),
                known(drains[number]),
                known(virtual.busy_per_s),
                known(flooded.model.rate_per_s),
            )
        )
    theirs = [row.accepted for row in rows]

    sides: tuple[tuple[str, Role, Sequence[float]], ...] = (
        ("original", "original", theirs),
        ("over sockets", "measured", accepted),
        ("virtual time", "virtual", [each.accepted for each in simulated]),
    )

    def ratio(claim: str, above: int, below: int, low: float, high: float) -> Any:
        ours = accepted[above] / accepted[below]
        return judge(
            claim,
            low <= ours <= high,
            f"{ours:.2f}× accepted here ({accepted[above]:g} against {accepted[below]:g}), "
            f"{theirs[above] / theirs[below]:.2f}× in the original; jobs/s: "
            f"{drains[above] / drains[below]:.2f}×",
        )

    return Findings(
        tables=(
            Table(
                title="The original's controlled experiment, and ours at the same settings",
                columns=(
                    Column("state", "", "setting"),
                    Column("capacity", "", "setting"),
                    Column("work", "ms", "setting"),
                    Column("hold", "ms", "setting"),
                    Column("the hold is", "", "setting"),
                    Column("accepted, original", "", "original"),
                    Column("accepted, over sockets", "", "measured"),
                    Column("accepted, virtual time", "", "virtual"),
                    Column("accepted, model", "", "model"),
                    Column("the flood lasted", "s", "measured", 2),
                    Column("drain, original", "jobs/s", "original"),
                    Column("drain, over sockets", "jobs/s", "measured"),
                    Column("drain, virtual time", "jobs/s", "virtual"),
                    Column("drain, model", "jobs/s", "model"),
                ),
                rows=tuple(table),
                caption="16 workers, 100 users, 200 connections. Ours: "
                f"{RATE_PER_S:,.0f} requests/s for {DURATION_S:g} s; the original: 5000 requests "
                "as fast as they are answered, about 0.35 s, median of 7.",
            ),
        ),
        plots=(
            Plot(
                kind="bars",
                title="Accepted of a flood: the original and ours",
                x=Axis("settings"),
                y=Axis("accepted"),
                bars=tuple(
                    Bar(
                        f"{row.state} {row.capacity}/{row.work_ms:g}/{row.hold_ms:g}"
                        + ("" if row.inside else " outside"),
                        float(value),
                        role,
                        name,
                    )
                    for name, role, values in sides
                    for row, value in zip(rows, values, strict=True)
                ),
                caption="Ten times the queue is nearly all of it, in any language, with any lock.",
                alt="Bars: settings with 1000 places accept ten times as many as those with 100.",
            ),
        ),
        verdicts=(
            ratio("Capacity 100 → 1000 alone buys about 7.5×.", 1, 0, 6.5, 8.5),
            ratio(
                "Sharding alone buys nothing (1.00×) where the hold is outside the lock, as the "
                "original's stage 8 was written.",
                6,
                5,
                0.93,
                1.07,
            ),
            ratio(
                "Sharding alone buys 1.10 to 1.17× accepted where the hold is in the lock (10 + 1 "
                "ms, 1000 places).",
                7,
                4,
                1.03,
                1.25,
            ),
            ratio(
                "And at stage 7's settings (100 + 10 ms, 100 places).",
                2,
                0,
                1.03,
                1.25,
            ),
            judge(
                "Sharding buys 1.45 to 1.50× in jobs/s where the hold is in the lock.",
                1.25 <= drains[7] / drains[4] <= 1.6 and 1.3 <= drains[2] / drains[0] <= 1.6,
                f"{drains[7] / drains[4]:.2f}× at 10 + 1 ms, {drains[2] / drains[0]:.2f}× at "
                "100 + 10 ms",
            ),
        ),
    )


class Factor(NamedTuple):
    """One setting, and what it is set to in turn."""

    name: str
    setting: str
    values: tuple[Any, ...]


FACTORS = (
    Factor("capacity", "capacity", (10, 100, 1000)),
    Factor("work, ms", "work_ms", (1.0, 10.0, 100.0)),
    Factor("hold, ms", "hold_ms", (0.0, 1.0, 10.0)),
    Factor("workers", "workers", (1, 4, 16, 64)),
    Factor("users", "users", (1, 20, 100)),
    Factor("state", "state", ("mutex", "rwlock", "sharded", "per-user")),
    Factor("shards", "shards", (1, 2, 8, 64)),
)
BASES: dict[str, dict[str, Any]] = {
    "stage 7": {
        "capacity": 100, "work_ms": 100.0, "hold_ms": 10.0, "workers": 16, "users": 20,
        "state": "mutex",
    },
    "stage 8": {
        "capacity": 1000, "work_ms": 10.0, "hold_ms": 1.0, "workers": 16, "users": 100,
        "state": "sharded",
    },
}  # fmt: skip


def settled(settings: dict[str, Any]) -> Simulated:
    """The document's flood in virtual time, at these settings (and so many users)."""
    settings = dict(settings)
    load = replace(LOAD, users=settings.pop("users"))
    return simulate_flood(8, load, DURATION_S, settings, BUNCH)


async def one_at_a_time(bench: Bench) -> Findings:
    """Each factor varied alone, around the settings of stage 7 and of stage 8."""
    cases = []
    for base, settings in BASES.items():
        for factor in FACTORS:
            for value in factor.values:
                changed = settings | {factor.setting: value}
                if factor.setting == "shards":
                    changed["state"] = "sharded"
                cases.append((base, factor, value, changed))
    simulated = await bench.compute(settled, [(changed,) for *_, changed in cases])
    standing = dict(
        zip(BASES, await bench.compute(settled, [(each,) for each in BASES.values()]), strict=True)
    )
    rows: list[tuple[Cell, ...]] = []
    found: dict[tuple[str, str, Any], Simulated] = {}
    for (base, factor, value, changed), each in zip(cases, simulated, strict=True):
        found[base, factor.name, value] = each
        same = standing[base]
        is_base = changed == BASES[base]
        rows.append(
            (
                base,
                factor.name,
                f"{value}" + (" (as it is)" if is_base else ""),
                each.accepted,
                known(each.accepted / same.accepted),
                known(each.busy_per_s),
                known(each.busy_per_s / same.busy_per_s),
            )
        )

    def rates(base: str, name: str) -> dict[Any, float]:
        return {
            value: each.busy_per_s
            for (b, n, value), each in found.items()
            if (b, n) == (base, name)
        }

    states7, states8 = rates("stage 7", "state"), rates("stage 8", "state")
    capacities = {v: e for (b, n, v), e in found.items() if (b, n) == ("stage 7", "capacity")}
    return Findings(
        tables=(
            Table(
                title="One factor at a time, everything else as it is, in virtual time",
                columns=(
                    Column("from", "", "setting"),
                    Column("factor", "", "setting"),
                    Column("set to", "", "setting"),
                    Column("accepted", "", "virtual"),
                    Column("accepted", "×", "factor", 2),
                    Column("jobs done", "jobs/s", "virtual", 1),
                    Column("jobs done", "×", "factor", 2),
                ),
                rows=tuple(rows),
                caption=f"{LOAD.requests} requests in {DURATION_S:g} s. Shards: of --state "
                "sharded, also where the starting point has a mutex.",
            ),
        ),
        plots=(
            Plot(
                kind="bars",
                title="Four kinds of lock at the same workload",
                x=Axis("state"),
                y=Axis("jobs done", "jobs/s", log=True),
                bars=tuple(
                    Bar(str(state), rate, "virtual", base)
                    for base, states in (("stage 7's", states7), ("stage 8's", states8))
                    for state, rate in states.items()
                ),
                caption="Every job writes, so a reader-writer lock is a mutex. A lock for each "
                "shard, or user, lets all sixteen work.",
                alt="Mutex and rwlock are equal; sharded and per-user are about 1.45 times higher.",
            ),
        ),
        verdicts=(
            judge(
                "Where every job writes, a reader-writer lock is a mutex.",
                all(
                    abs(states["rwlock"] / states["mutex"] - 1) < 0.02
                    for states in (states7, states8)
                ),
                f"{states7['rwlock'] / states7['mutex']:.3f}× and "
                f"{states8['rwlock'] / states8['mutex']:.3f}×",
                "document",
            ),
            judge(
                "A lock for each shard or each user buys the same at this workload: about 1.45×.",
                all(
                    1.35 <= states[each] / states["mutex"] <= 1.5
                    for states in (states7, states8)
                    for each in ("sharded", "per-user")
                ),
                ", ".join(
                    f"{each} {states[each] / states['mutex']:.2f}× ({name})"
                    for name, states in (("stage 7's", states7), ("stage 8's", states8))
                    for each in ("sharded", "per-user")
                ),
            ),
            judge(
                "Capacity changes what is accepted of a burst, and nothing about the rate.",
                capacities[1000].accepted > 6 * capacities[100].accepted
                and abs(capacities[1000].busy_per_s / capacities[10].busy_per_s - 1) < 0.02,
                f"{capacities[10].accepted}, {capacities[100].accepted}, "
                f"{capacities[1000].accepted} accepted with 10, 100, 1000 places, at "
                f"{capacities[10].busy_per_s:.1f} to {capacities[1000].busy_per_s:.1f} jobs/s",
            ),
            judge(
                "One user is one lock, however many shards there are.",
                math.isclose(
                    rates("stage 8", "users")[1], rates("stage 8", "state")["mutex"], rel_tol=0.03
                ),
                f"{rates('stage 8', 'users')[1]:.0f} jobs/s for one user over 8 shards, "
                f"{states8['mutex']:.0f} behind a mutex",
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="original",
        group=GROUP,
        stages=(7, 8),
        title="The original's experiment, again",
        question="What do capacity, hold and sharding buy, each by itself?",
        mode="both",
        run=original,
        command="python -m clients.stress 8 --spawn -- --state mutex",
    ),
    Experiment(
        id="factors",
        group=GROUP,
        stages=(7, 8),
        title="One factor at a time",
        question="What does each setting change, with everything else as it is?",
        mode="virtual",
        run=one_at_a_time,
    ),
)
