"""One factor at a time, and the four kinds of lock at the same workload."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from trio_stages.model import service_rate_per_s
from trio_stages.options import default_shards

from .controlled import (
    BUNCH,
    DURATION_S,
    GROUP,
    LOAD,
    measured,
)
from .registry import Experiment, Findings
from .results import Axis, Bar, Cell, Column, Plot, Table
from .twins import simulate_flood
from .verdicts import figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench, Flooded
    from .simulate import Simulated


class Factor(NamedTuple):
    """One setting, and what it is set to in turn."""

    name: str
    setting: str
    values: tuple[Any, ...]


# Of the pool, by which its rate is known.
ROUNDS = 4
STATES = ("mutex", "rwlock", "sharded", "per-user")
FACTORS = (
    Factor("capacity", "capacity", (10, 100, 1000)),
    Factor("work, ms", "work_ms", (1.0, 10.0, 100.0)),
    Factor("hold, ms", "hold_ms", (0.0, 1.0, 10.0)),
    Factor("workers", "workers", (1, 4, 16, 64)),
    Factor("users", "users", (1, 20, 100)),
    Factor("state", "state", STATES),
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
    """A flood as long as the document's in virtual time, at these settings (and so many users)."""
    settings = dict(settings)
    load = replace(LOAD, users=settings.pop("users"))
    return simulate_flood(8, load, DURATION_S, settings, BUNCH, ROUNDS * settings["workers"])


async def _states_over_sockets(bench: Bench) -> dict[tuple[str, str], Flooded]:
    real = {}
    for base, settings in BASES.items():
        if bench.quick and base != "stage 8":
            continue
        for state in STATES:
            real[base, state] = await measured(bench, settings | {"state": state})
    return real


def _model_per_s(base: str, state: str) -> float:
    settings = BASES[base]
    return service_rate_per_s(
        settings["workers"],
        settings["work_ms"] / 1000,
        settings["hold_ms"] / 1000,
        one_lock=state in ("mutex", "rwlock"),
    )


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
    real = await _states_over_sockets(bench)
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
                # Where all are, more would have been, had they come.
                known(each.accepted / same.accepted)
                if each.rejected
                else f"at least {each.accepted / same.accepted:.2f}",
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
    four = tuple(
        (
            base,
            state,
            known(real[base, state].result.accepted) if (base, state) in real else None,
            found[base, "state", state].accepted,
            known(real[base, state].drain_per_s) if (base, state) in real else None,
            known(found[base, "state", state].busy_per_s),
            known(_model_per_s(base, state)),
        )
        for base in BASES
        for state in STATES
    )
    stage_8 = {state: real["stage 8", state].drain_per_s for state in STATES}
    return Findings(
        tables=(
            Table(
                title="Four kinds of lock at the same workload",
                columns=(
                    Column("workload of", "", "setting"),
                    Column("--state", "", "setting"),
                    Column("accepted, over sockets", "", "measured"),
                    Column("accepted, virtual time", "", "virtual"),
                    Column("jobs done, over sockets", "jobs/s", "measured", 1),
                    Column("jobs done, virtual time", "jobs/s", "virtual", 1),
                    Column("jobs done, model", "jobs/s", "model", 1),
                ),
                rows=four,
                caption=f"{LOAD.requests} requests in {DURATION_S:g} s, nothing changed but the "
                "lock."
                + (" Stage 7's workload over sockets: in the full run." if bench.quick else ""),
            ),
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
                "Over sockets too a lock for each shard or user beats one for all: 1.2× or more.",
                min(stage_8["sharded"], stage_8["per-user"])
                >= 1.2 * max(stage_8["mutex"], stage_8["rwlock"]),
                ", ".join(f"{state} {figure(rate)}" for state, rate in stage_8.items())
                + " jobs/s at stage 8's workload",
                of=tuple(stage_8.values()),
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
                f"{rates('stage 8', 'users')[1]:.0f} jobs/s for one user over {default_shards()} "
                "shards, "
                f"{states8['mutex']:.0f} behind a mutex",
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="factors",
        group=GROUP,
        stages=(7, 8),
        title="One factor at a time",
        question="What does each setting change, with everything else as it is?",
        mode="both",
        run=one_at_a_time,
    ),
)
