"""The controlled comparison: the same workload for every kind of lock, and one factor at a time."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from clients.loads import LOADS

from . import published
from .registry import Experiment, Findings
from .results import Axis, Bar, Column, Plot, Table
from .twins import simulate_flood
from .verdicts import judge, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bench import Bench, Flooded
    from .published import Controlled
    from .results import Role

GROUP = "The controlled comparison"
DURATION_S = published.DOCUMENT_DURATION_S[7]
# What is accepted depends on how long a flood lasts, so all of them last as long as the document's,
# at a rate that the machine keeps up with: an open loop, over the original's 200 connections.
RATE_PER_S = 5000.0
LOAD = replace(LOADS[8], requests=round(RATE_PER_S * DURATION_S), rate_per_s=RATE_PER_S)
# Of the backlog over sockets, for its rate.
SETTLE_S, QUICK_SETTLE_S = 2.0, 0.8
ROUNDS = 3
# Jobs of sixteen workers by which their rate is known.
ENOUGH = 64.0
# Requests that come together in virtual time: 2 ms of the flood.
BUNCH = 10


def settings_of(row: Controlled) -> dict[str, Any]:
    """The row as settings; a hold outside the lock is more work before it."""
    work_ms, hold_ms = row.work_ms, row.hold_ms
    if not row.inside:
        work_ms, hold_ms = work_ms + hold_ms, 0.0
    return {
        "capacity": row.capacity,
        "work_ms": float(work_ms),
        "hold_ms": float(hold_ms),
        "workers": 16,
        "users": LOAD.users,
        "state": row.state,
    }


def options_of(settings: dict[str, Any]) -> list[str]:
    """The same settings for a server's command line; how many users there are is the client's."""
    words = []
    for name, value in settings.items():
        if name == "users":
            continue
        words += [
            "--" + name.replace("_", "-"),
            f"{value:g}" if name.endswith("ms") else str(value),
        ]
    return words


def _of_server(row: Controlled) -> dict[str, Any]:
    return {name: value for name, value in settings_of(row).items() if name != "users"}


async def measured(bench: Bench, settings: dict[str, Any], again: int = 0) -> Flooded:
    """The same flood over sockets at these settings; what was measured before serves again.

    Args:
        bench: of the experiment.
        settings: by the names of the options, and ``users``.
        again: the number of this repetition, to be measured all the same.
    """
    key = (*sorted(settings.items()), again)
    if key not in bench.shared:
        load = replace(LOAD, users=settings["users"])
        settle_s = QUICK_SETTLE_S if bench.quick else SETTLE_S
        bench.shared[key] = await bench.flood(8, load, options_of(settings), settle_s=settle_s)
    return bench.shared[key]


async def original(bench: Bench) -> Findings:
    """The original's controlled experiment, made again."""
    rows = published.CONTROLLED
    # In turn, so that a machine that drifts drifts for all of them.
    rounds = [
        [await measured(bench, settings_of(row), again) for row in rows]
        for again in range(1 if bench.quick else ROUNDS)
    ]
    runs = list(zip(*rounds, strict=True))
    floods = rounds[0]
    accepted = [median(run.result.accepted for run in each) for each in runs]
    drains = [median(run.drain_per_s for run in each) for each in runs]
    simulated = await bench.compute(
        simulate_flood,
        [
            (8, LOAD, flooded.result.duration_s, _of_server(row), BUNCH, ENOUGH)
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
            ratio("Capacity 100 → 1000 alone buys 6.5 to 8.5×.", 1, 0, 6.5, 8.5),
            ratio(
                "Sharding alone buys nothing (0.95 to 1.05×) where the hold is outside the lock, "
                "as the original's stage 8 was written.",
                6,
                5,
                0.95,
                1.05,
            ),
            ratio(
                "Sharding alone buys 1.06 to 1.25× accepted where the hold is in the lock (10 + 1 "
                "ms, 1000 places; the original 1.10).",
                7,
                4,
                1.06,
                1.25,
            ),
            ratio(
                "And as much at stage 7's settings (100 + 10 ms, 100 places; the original 1.17).",
                2,
                0,
                1.06,
                1.25,
            ),
            judge(
                "Sharding buys 1.4 to 1.6× in jobs/s where the hold is in the lock (the original "
                "1.45 and 1.50).",
                1.4 <= drains[7] / drains[4] <= 1.6 and 1.4 <= drains[2] / drains[0] <= 1.6,
                f"{drains[7] / drains[4]:.2f}× at 10 + 1 ms, {drains[2] / drains[0]:.2f}× at "
                "100 + 10 ms",
                of=(drains[0], drains[2], drains[4], drains[7]),
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
)
