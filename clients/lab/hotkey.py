"""Sharding's limit: a hot key, which no number of shards divides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.arrivals import zipf_shares
from clients.loads import Load
from trio_stages.queueing import closed_network, hot_lock_bound_per_s
from trio_stages.state.guards import shard_of

from .hotlock import saturated
from .registry import Experiment, Findings
from .results import Axis, Column, Mark, Plot, Series, Table
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench
    from .results import Cell, Role
    from .simulate import Simulated

GROUP = "The controlled comparison"
# Many workers and long holds, so that it is the locks that decide.
WORKERS, WORK_MS, HOLD_MS = 64, 100.0, 10.0
USERS = 100
SHARDS = 8
SKEWS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
ROUNDS = 20
STATES = ("mutex", "sharded", "per-user")
REAL_SKEWS = (0.0, 1.5)
WHOSE: tuple[tuple[str, Role], ...] = (("virtual time", "virtual"), ("model", "model"))


def skewed(state: str, skew: float) -> Simulated:
    """A pool that always has jobs, of Zipf's users."""
    return saturated(
        WORKERS, WORK_MS, HOLD_MS, state, USERS, skew=skew, shards=SHARDS, rounds=ROUNDS
    )


def lock_shares(state: str, skew: float) -> list[float]:
    """The share of the jobs that goes through each lock."""
    shares = zipf_shares(USERS, skew)
    if state == "mutex":
        return [1.0]
    if state == "per-user":
        return shares
    of_shards = [0.0] * SHARDS
    for user, share in enumerate(shares):
        of_shards[shard_of(f"user{user}", SHARDS)] += share
    return of_shards


async def hot_key(bench: Bench) -> Findings:
    """Zipf's users beside uniform ones."""
    cases = [(state, skew) for state in STATES for skew in SKEWS]
    simulated = dict(zip(cases, await bench.compute(skewed, cases), strict=True))
    load = Load(requests=1500, concurrency=100, users=USERS)
    measured = {}
    for skew in REAL_SKEWS:
        options = [
            *("--workers", str(WORKERS), "--work-ms", f"{WORK_MS:g}", "--hold-ms", f"{HOLD_MS:g}"),
            *("--capacity", "1500", "--shards", str(SHARDS)),
        ]
        skewed_load = Load(
            requests=load.requests, concurrency=load.concurrency, users=USERS, skew=skew
        )
        measured[skew] = await bench.flood(
            8, skewed_load, options, settle_s=1.2 if bench.quick else 2.5
        )
    rows: list[tuple[Cell, ...]] = []
    for skew in SKEWS:
        hottest = max(zipf_shares(USERS, skew))
        row: list[Cell] = [f"{skew:g}", known(100 * hottest)]
        for state in STATES:
            row.append(known(simulated[state, skew].busy_per_s))
            network = closed_network(
                WORKERS, WORK_MS / 1000, HOLD_MS / 1000, lock_shares(state, skew)
            )
            row.append(known(network.rate_per_s))
        row.append(known(measured[skew].drain_per_s) if skew in measured else None)
        rows.append(tuple(row))
    sharded = {skew: simulated["sharded", skew].busy_per_s for skew in SKEWS}
    own = {skew: simulated["per-user", skew].busy_per_s for skew in SKEWS}
    bound = hot_lock_bound_per_s(HOLD_MS / 1000, lock_shares("per-user", 3.0))
    return Findings(
        tables=(
            Table(
                title=f"{WORKERS} workers, {WORK_MS:g} + {HOLD_MS:g} ms, {USERS} users by Zipf's "
                f"law, {SHARDS} shards",
                columns=(
                    Column("skew", "", "setting"),
                    Column("the hottest user sends", "%", "setting", 1),
                    *(
                        Column(f"{state}, {whose}", "jobs/s", role, 0)
                        for state in STATES
                        for whose, role in WHOSE
                    ),
                    Column("sharded, over sockets", "jobs/s", "measured", 0),
                ),
                rows=tuple(rows),
                caption="Skew: the exponent of Zipf's law, 0 is uniform, 1 is words in a text. The "
                "model takes holds to be random and is on the careful side.",
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="A hot key undoes sharding",
                x=Axis("skew of the users (Zipf's exponent)"),
                y=Axis("throughput", "jobs/s"),
                series=(
                    *(
                        Series(
                            name=f"{state}, virtual time",
                            role="virtual",
                            points=tuple(
                                (skew, simulated[state, skew].busy_per_s) for skew in SKEWS
                            ),
                            style="points",
                            group=state,
                        )
                        for state in STATES
                    ),
                    *(
                        Series(
                            name=f"{state}, model",
                            role="model",
                            points=tuple(
                                (
                                    skew / 10,
                                    closed_network(
                                        WORKERS,
                                        WORK_MS / 1000,
                                        HOLD_MS / 1000,
                                        lock_shares(state, skew / 10),
                                    ).rate_per_s,
                                )
                                for skew in range(0, 31, 2)
                            ),
                            group=state,
                        )
                        for state in STATES
                    ),
                    Series(
                        name="sharded, over sockets",
                        role="measured",
                        points=tuple((skew, each.drain_per_s) for skew, each in measured.items()),
                        style="points",
                        group="sharded",
                    ),
                ),
                marks=(Mark("1 / hold: one lock", "y", 1000 / HOLD_MS),),
                caption="The more one user sends, the nearer all comes to what one lock lets "
                "through, whatever the number of locks.",
                alt="Sharded and per-user start at 580 jobs/s and fall towards 100 as skew grows.",
            ),
        ),
        verdicts=(
            judge(
                "Uniform users spread over the shards: several times what one lock lets through.",
                sharded[0.0] > 3 * simulated["mutex", 0.0].busy_per_s,
                f"{figure(sharded[0.0])} jobs/s sharded, "
                f"{figure(simulated['mutex', 0.0].busy_per_s)} behind a mutex",
            ),
            judge(
                "Sharding's limit is a hot key: more skew, less throughput, down to one lock's.",
                sharded[3.0] < 1.5 * 1000 / HOLD_MS and sharded[3.0] < 0.4 * sharded[0.0],
                ", ".join(f"skew {skew:g}: {figure(rate)}" for skew, rate in sharded.items())
                + " jobs/s",
            ),
            agrees(
                "A lock for each user does not help the hottest user: 1 / (hold × its share).",
                own[3.0],
                bound,
                within=0.1,
                unit="jobs/s",
            ),
            judge(
                "The same over sockets.",
                measured[1.5].drain_per_s < 0.75 * measured[0.0].drain_per_s,
                f"{figure(measured[0.0].drain_per_s)} jobs/s uniform, "
                f"{figure(measured[1.5].drain_per_s)} at skew 1.5",
                of=(measured[0.0].drain_per_s, measured[1.5].drain_per_s),
            ),
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="hot-key",
        group=GROUP,
        stages=(8,),
        title="A hot key",
        question="What does sharding do for users of whom one sends half?",
        mode="both",
        run=hot_key,
        command="python -m clients.stress 8 --spawn --users 1",
    ),
)
