"""Stage 4: work inside the lock, and the sleep that freezes everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from clients.http import Connection, Target
from clients.loads import LOADS, Load
from clients.spawn import spawned

from .connections import GROUP
from .registry import Experiment, Findings
from .results import Axis, Comparison, Plot, Series
from .simulate import Simulated, flood, settings_of, simulate
from .verdicts import agrees, figure, judge, known

if TYPE_CHECKING:
    from .bench import Bench


def _crowd(clients: int) -> Simulated:
    """So many clients at stage 4, with a request each, all at once."""
    return simulate(4, flood([0.0] * clients, range(clients), tasks=True), settings_of(4))


async def one_lock(bench: Bench) -> Findings:
    """Stage 4: about 2 requests/s, whatever the number of clients."""
    crowds = (1, 2, 5, 10, 100, 1000)
    simulated = await bench.compute(_crowd, [(crowd,) for crowd in crowds])
    virtual = [(crowd, crowd / each.flood_s) for crowd, each in zip(crowds, simulated, strict=True)]
    measured = {}
    for crowd in (3,) if bench.quick else (2, 10, 30):
        flooded = await bench.flood(4, Load(requests=crowd, concurrency=crowd, users=crowd))
        measured[crowd] = crowd / flooded.result.duration_s
    frozen_ms = await _health_beside("--blocking-sleep")
    free_ms = await _health_beside()
    rates = [rate for _, rate in virtual]
    crowd, rate = max(measured.items())
    return Findings(
        comparisons=(
            Comparison(
                quantity="requests/s behind one lock held for 500 ms",
                unit="/s",
                document=2,
                original=19.8,
                measured=known(rate),
                virtual=known(rates[-1]),
                model=2,
                digits=2,
                note="the original sleeps before it takes the lock: 10 requests in 0.505 s",
            ),
            Comparison(
                quantity="GET /health while an event is worked on with time.sleep",
                unit="ms",
                document="blocks entire runtime",
                measured=known(frozen_ms),
                digits=1,
            ),
            Comparison(
                quantity="GET /health while an event is worked on with trio.sleep",
                unit="ms",
                document="yields to runtime",
                measured=known(free_ms),
                digits=1,
            ),
        ),
        plots=(
            Plot(
                kind="sweep",
                title="Stage 4: more clients, the same 2 requests a second",
                x=Axis("clients at once", "", log=True),
                y=Axis("throughput", "requests/s"),
                series=(
                    Series(
                        name="virtual time", role="virtual", points=tuple(virtual), style="points"
                    ),
                    Series(
                        name="over sockets",
                        role="measured",
                        points=tuple((float(n), r) for n, r in sorted(measured.items())),
                        style="points",
                    ),
                    Series(
                        name="model: 1 / hold",
                        role="model",
                        points=tuple((float(n), 2.0) for n in crowds),
                    ),
                ),
                caption="One lock, held for 500 ms: nobody is refused, everybody waits.",
                alt="A flat line at two requests per second from 1 to 1000 clients.",
            ),
        ),
        verdicts=(
            agrees(
                "500 ms of work inside one lock is 2 requests/s, in real time.",
                rate,
                2.0,
                within=0.1,
                unit="requests/s",
                source="document",
            ),
            judge(
                "The number of clients does not change it (virtual time).",
                max(rates) - min(rates) < 0.02,
                f"{figure(min(rates))} to {figure(max(rates))} requests/s with 1 to 1000 clients",
                "document",
            ),
            judge(
                "The wrong sleep freezes the event loop, the right one does not.",
                frozen_ms > 10 * free_ms,
                f"/health takes {frozen_ms:.0f} ms beside time.sleep, {free_ms:.1f} ms beside "
                "trio.sleep",
                "document",
            ),
        ),
        notes=(
            "The Rust original sleeps **before** it takes the lock, so that there 10 requests take "
            "0.505 s, not 5 s: its code does not do what its text says. Ours sleeps inside.",
        ),
    )


async def _health_beside(*options: str) -> float:
    """How long ``GET /health`` takes, in ms, sent while an event is being worked on."""
    async with spawned(4, options) as server:
        target = await Target.locate(server.url)
        event = target.request("POST", "/", LOADS[4].bodies()[0])
        with Connection(target) as busy, Connection(target) as good:
            await good.get_json("/health")  # the connection is there
            async with trio.open_nursery() as nursery:
                nursery.start_soon(busy.request, event)
                await trio.sleep(0.05)
                start = trio.current_time()
                await good.get_json("/health")
                took_ms = (trio.current_time() - start) * 1000
                nursery.cancel_scope.cancel()
    return took_ms


EXPERIMENTS = (
    Experiment(
        id="one-lock",
        group=GROUP,
        stages=(4,),
        title="Work inside the lock",
        question="How many requests a second get through 500 ms of work behind one lock?",
        mode="both",
        run=one_lock,
        command="python -m clients.stress 4 --spawn",
    ),
)
