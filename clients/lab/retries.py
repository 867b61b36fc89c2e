"""Clients that try again: the storm that they make of a short peak, and what cures it."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import trio

from clients import ledgercheck
from clients.http import Connection, Target
from clients.loads import Load
from clients.pairs import cpu_s
from clients.spawn import spawned

from .registry import Experiment, Findings
from .results import Axis, Column, Comparison, Mark, Plot, Series, Table
from .simulate import Stage, settings_of, simulate
from .verdicts import figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench

GROUP = "Retries"
# The scene in virtual time: 80 jobs/s possible, 0.7 of it offered, three times as much for a while.
WORK_MS, WORKERS, CAPACITY = 200.0, 16, 100
RATE_PER_S = WORKERS / (WORK_MS / 1000)
BASE, PEAK = 0.7, 3.0
PEAK_FROM_S, PEAK_TO_S, END_S = 2.0, 4.0, 20.0
SOON_S = 0.2
BIN_S = 0.25
POLICIES = {
    "give up": "a refused client does not come back",
    "at once": f"again after {SOON_S * 1000:.0f} ms, until it gets in",
    "Retry-After": "again after what the server has said, to the second",
    "Retry-After + jitter": "the same, and up to half as long again at random",
    "backoff + jitter": "again after 0.1, 0.2, 0.4 … 6.4 s, each time a random part of it",
}


class Storm(NamedTuple):
    """What one policy made of the peak.

    Attributes:
        events: that clients had.
        delivered: that got in.
        requests: that it took.
        per_s: requests in each quarter of a second, as (seconds, requests/s).
        recovered_s: from the end of the peak until nobody was refused any more.
        idle_share: of the workers' time, from the beginning of the peak until then.
    """

    events: int
    delivered: int
    requests: int
    per_s: tuple[tuple[float, float], ...]
    recovered_s: float
    idle_share: float

    @property
    def peak_per_s(self) -> float:
        """Most requests in a quarter of a second, as a rate."""
        return max(rate for _, rate in self.per_s)


def _pause_s(policy: str, retry_after_s: int, attempt: int, random: Random) -> float:
    if policy == "Retry-After":
        return retry_after_s
    if policy == "Retry-After + jitter":
        return retry_after_s * random.uniform(1.0, 1.5)
    if policy == "backoff + jitter":
        return random.uniform(0.0, 0.1 * 2.0 ** min(attempt, 6))
    return SOON_S


def storm(policy: str) -> Storm:
    """The scene under one policy, in virtual time."""
    arrivals, random = Random(11), Random(12)
    requests: list[float] = []
    refusals: list[float] = []
    delivered = events = 0

    async def client(stage: Stage, user: str) -> None:
        nonlocal delivered
        attempt = 0
        while True:
            requests.append(trio.current_time())
            reply = await stage.post(user)
            if reply.status == 202:
                delivered += 1
                return
            refusals.append(trio.current_time())
            if policy == "give up":
                return
            told_s = int(dict(reply.fields).get(b"retry-after", b"1"))
            await trio.sleep(_pause_s(policy, told_s, attempt, random))
            attempt += 1

    async def drive(stage: Stage) -> None:
        nonlocal events
        async with trio.open_nursery() as nursery:
            while (now_s := trio.current_time()) < END_S:
                busy = PEAK_FROM_S <= now_s < PEAK_TO_S
                rate_per_s = (PEAK if busy else BASE) * RATE_PER_S
                events += 1
                nursery.start_soon(client, stage, f"user{events % 100}")
                await trio.sleep(arrivals.expovariate(rate_per_s))

    settings = settings_of(
        8, work_ms=WORK_MS, hold_ms=0.0, capacity=CAPACITY, workers=WORKERS, state="per-user"
    )
    simulated = simulate(8, drive, settings)
    bins = Counter(int(at / BIN_S) for at in requests)
    last = int(max(requests) / BIN_S)
    calm_s = max(refusals, default=PEAK_TO_S)
    done = sum(PEAK_FROM_S <= at <= calm_s for at in simulated.recording.completed_s)
    possible = RATE_PER_S * (calm_s - PEAK_FROM_S)
    return Storm(
        events=events,
        delivered=delivered,
        requests=len(requests),
        per_s=tuple((number * BIN_S, bins[number] / BIN_S) for number in range(last + 1)),
        recovered_s=calm_s - PEAK_TO_S,
        idle_share=max(0.0, 1 - done / possible) if possible > 0 else 0.0,
    )


CLIENTS, EACH = 200, 15
# Of the jobs that are still queued when the last event has been accepted.
LOOK_EVERY_S, DONE_WITHIN_S = 0.02, 30.0


class Delivery(NamedTuple):
    """What it took until the last of the events was processed, over sockets."""

    took_s: float
    requests: int
    cpu_s: float

    @property
    def jobs_per_s(self) -> float:
        """Of all the time."""
        return CLIENTS * EACH / self.took_s


async def deliver(bench: Bench, policy: str) -> Delivery:
    """So many clients with so many events each, at stage 8, over sockets."""
    events, requests = CLIENTS * EACH, 0
    random = Random(5)
    bodies = Load(requests=1, concurrency=1, users=100).bodies()

    async def client(target: Target, number: int) -> None:
        nonlocal requests
        message = target.request("POST", "/", bodies[number % len(bodies)])
        with Connection(target) as connection:
            for _ in range(EACH):
                attempt = 0
                while True:
                    requests += 1
                    reply = await connection.request(message)
                    if reply.status == 202:
                        break
                    told_s = reply.retry_after_s or 1
                    await trio.sleep(_pause_s(policy, told_s, attempt, random))
                    attempt += 1

    async with spawned(8) as server:
        target = await Target.locate(server.url)
        used_s, started_s = cpu_s(server.pid), trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                nursery.start_soon(client, target, number)
        with Connection(target) as control, trio.fail_after(DONE_WITHIN_S):
            while (await control.get_json("/stats"))["processed"] < events:  # noqa: ASYNC110
                await trio.sleep(LOOK_EVERY_S)
        took_s, used_s = trio.current_time() - started_s, cpu_s(server.pid) - used_s
        await server.stop()
    final = server.final or {}
    differences = ledgercheck.check_final(final, server.exit_status or 0) if final else ["no line"]
    if final.get("accepted") != events:
        differences.append(f"{events} delivered, {final.get('accepted')} accepted")
    bench.differ("stage 8 with retries", differences)
    return Delivery(took_s, requests, used_s)


async def retry_storm(bench: Bench) -> Findings:
    """A short peak, and clients that come back."""
    storms = dict(
        zip(POLICIES, await bench.compute(storm, [(policy,) for policy in POLICIES]), strict=True)
    )
    bench.virtual_s += len(POLICIES) * END_S
    real: dict[str, Delivery] = {}
    for policy in ("at once", "Retry-After", "Retry-After + jitter"):
        bench.on_progress(f"retries over sockets: {policy}", len(real), 3)
        real[policy] = await deliver(bench, policy)
    soon, told, spread = (
        storms[policy] for policy in ("at once", "Retry-After", "Retry-After + jitter")
    )
    events = CLIENTS * EACH
    return Findings(
        comparisons=(
            *(
                Comparison(
                    quantity=f"requests per delivered event of a short peak, {policy}",
                    virtual=known(each.requests / each.delivered),
                    digits=1,
                )
                for policy, each in (("at once", soon), ("Retry-After + jitter", spread))
            ),
            *(
                Comparison(
                    quantity=f"requests per event, {CLIENTS} clients at stage 8, {policy}",
                    measured=known(real[policy].requests / events),
                    digits=1,
                )
                for policy in ("at once", "Retry-After + jitter")
            ),
            Comparison(
                quantity="jobs done meanwhile, at once",
                unit="jobs/s",
                measured=known(real["at once"].jobs_per_s),
                model=known(16 / 0.011),
            ),
            Comparison(
                quantity="jobs done meanwhile, Retry-After + jitter",
                unit="jobs/s",
                measured=known(real["Retry-After + jitter"].jobs_per_s),
                model=known(16 / 0.011),
            ),
        ),
        tables=(
            Table(
                title=f"A peak of {PEAK_TO_S - PEAK_FROM_S:g} s at {PEAK:g}× the capacity, "
                f"{BASE:g}× before and after, in virtual time",
                columns=(
                    Column("clients", "", "setting"),
                    Column("events"),
                    Column("delivered", "%", "accepted", 1),
                    Column("requests", "", "offered"),
                    Column("requests at the worst", "/s", "rejected"),
                    Column("until nobody is refused", "s", "latency", 1),
                    Column("workers idle until then", "%", "idle", 1),
                ),
                rows=tuple(
                    (
                        f"{policy}: {POLICIES[policy]}",
                        each.events,
                        known(100 * each.delivered / each.events),
                        each.requests,
                        known(each.peak_per_s),
                        known(each.recovered_s),
                        known(100 * each.idle_share),
                    )
                    for policy, each in storms.items()
                ),
                caption=f"{RATE_PER_S:g} jobs/s possible, {CAPACITY} places. Refusing costs "
                "nothing in virtual time; over sockets it does.",
            ),
            Table(
                title=f"{CLIENTS} clients deliver {EACH} events each to stage 8, over sockets",
                columns=(
                    Column("clients", "", "setting"),
                    Column("until the last job was done", "s", "measured", 2),
                    Column("requests", "", "offered"),
                    Column("server CPU per delivered event", "ms", "measured", 2),
                    Column("jobs done meanwhile", "jobs/s", "goodput", 0),
                ),
                rows=tuple(
                    (
                        policy,
                        known(each.took_s),
                        each.requests,
                        known(1000 * each.cpu_s / events),
                        known(each.jobs_per_s),
                    )
                    for policy, each in real.items()
                ),
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="A moment of overload, and what clients make of them",
                x=Axis("time", "s"),
                y=Axis("requests", "/s", log=True),
                series=tuple(
                    Series(
                        name=policy,
                        role="offered" if policy == "give up" else "rejected",
                        points=tuple((at, rate) for at, rate in each.per_s if rate > 0),
                        group=policy,
                    )
                    for policy, each in storms.items()
                ),
                marks=(
                    Mark("capacity", "y", RATE_PER_S),
                    Mark("the peak begins", "x", PEAK_FROM_S, "label"),
                    Mark("it ends", "x", PEAK_TO_S, "label"),
                ),
                caption="Who comes back at once turns a short peak into a storm that "
                "outlasts it. Who waits as told comes back together with all the others, unless "
                "there is some chance in it.",
                alt="Requests per second over time for five ways of retrying.",
            ),
        ),
        verdicts=(
            judge(
                "Retrying at once makes a storm: many requests for each event that gets in.",
                soon.requests / soon.delivered > 3,
                f"{soon.requests / soon.delivered:.1f} requests per event, "
                f"{figure(soon.peak_per_s)}/s at the worst, where {figure(RATE_PER_S)} are "
                f"possible and {figure(PEAK * RATE_PER_S)} were meant",
            ),
            judge(
                "Retry-After cures it: an event in the end costs a few requests.",
                spread.requests / spread.delivered < 0.5 * soon.requests / soon.delivered
                and spread.delivered == spread.events,
                f"{told.requests / told.delivered:.2f} requests per event as told, "
                f"{spread.requests / spread.delivered:.2f} with jitter, "
                f"{soon.requests / soon.delivered:.1f} at once",
            ),
            judge(
                "All told the same second come back in the same second; jitter spreads them.",
                spread.peak_per_s < told.peak_per_s,
                f"{figure(told.peak_per_s)} requests/s at the worst without jitter, "
                f"{figure(spread.peak_per_s)} with it",
            ),
            judge(
                "Over sockets the storm costs the server CPU that no event is delivered by.",
                real["at once"].cpu_s > 1.5 * real["Retry-After + jitter"].cpu_s
                if math.isfinite(real["at once"].cpu_s)
                else None,
                f"{1000 * real['at once'].cpu_s / events:.2f} ms of CPU per delivered event at "
                f"once, {1000 * real['Retry-After + jitter'].cpu_s / events:.2f} ms with "
                "Retry-After and jitter",
            ),
            judge(
                "It delivers no sooner for that than whoever obeys.",
                real["at once"].took_s
                > 0.95 * min(real[policy].took_s for policy in real if policy != "at once"),
                ", ".join(f"{policy}: {each.took_s:.2f} s" for policy, each in real.items())
                + f" for {events} events ({events / (16 / 0.011):.2f} s of work)",
            ),
        ),
        notes=(
            "`Retry-After` counts in whole seconds, and a full queue of stage 8 is worked off in "
            "0.7 s: whoever obeys comes back to a queue that has been empty for a moment. The "
            "storm keeps the workers busier; with slower work the second does not matter, and the "
            "storm does.",
        ),
    )


EXPERIMENTS = (
    Experiment(
        id="retries",
        group=GROUP,
        stages=(8,),
        title="The retry storm",
        question="What do clients that try again make of a moment of overload?",
        mode="both",
        run=retry_storm,
    ),
)
