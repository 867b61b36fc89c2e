"""S19: a drain while the customers keep posting."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from trio_stages.compare.metrics import measure
from trio_stages.compare.results import APPLY
from trio_stages.compare.scenario import Label, Link, Scenario, at_least, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

CLIENTS = 4
WORK_S = 0.005
DRAIN_S = 2.0


def run(trial: Trial) -> dict[str, Metric]:
    """Clients on open connections post as fast as they are answered; SIGTERM with a drain."""
    core = trial.configure(workers=2, capacity=20, drain_s=DRAIN_S)

    def work(job: Job) -> None:
        time.sleep(WORK_S)

    def flood(client: Client, number: int) -> None:
        sock = client.connect()
        sent = 0
        while client.post(f"job {number} {sent}", sock):
            sent += 1

    def script(client: Client) -> None:
        floods = [
            threading.Thread(target=flood, args=(client, number), daemon=True)
            for number in range(CLIENTS)
        ]
        for thread in floods:
            thread.start()
        client.until(APPLY, "thread: job", times=10)
        client.stop()
        for thread in floods:
            thread.join()

    core.work = work
    trial.serve(script)
    return {"lost_some": "some" if measure(core)["lost"] else "none"}


SCENARIO = Scenario(
    id="S19",
    module=__name__,
    title="A drain under load",
    done=(
        f"{CLIENTS} clients on open connections post as fast as they are answered. SIGTERM: the "
        "server stops listening and finishes what it has accepted."
    ),
    why="A deployment at noon. Every 202 that is not applied afterwards is a complaint.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: Queue.join",
            "https://docs.python.org/3/library/asyncio-queue.html#asyncio.Queue.join",
        ),
        Link(
            "Trio: memory channels, and closing them",
            "https://trio.readthedocs.io/en/stable/reference-core.html#using-channels-to-pass-values-between-tasks",
        ),
    ),
    shown="of the accepted jobs {lost_some} are lost",
    wanted=facts(lost=0),
    expected=(
        expect("trio anyio modern hardened", lost=0),
        expect("classic", lost=at_least(1)),
    ),
    run=run,
    exhibit=("serve",),
    note=(
        "Who keeps the handlers' tasks can end them before the drain. Classic code leaves them to "
        "`start_server`: they go on accepting while the queue is drained, and it never empties."
    ),
)
