"""S22: a drain with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

JOBS = 20
WORK_S = 0.01


def run(trial: Trial) -> None:
    """Twenty jobs, one in hand; SIGTERM with a drain."""
    core = trial.configure(workers=2, drain_s=30.0)

    def work(job: Job) -> None:
        time.sleep(WORK_S)

    def script(client: Client) -> None:
        for number in range(JOBS):
            client.post(f"job {number}")
        client.until(START, "thread: job 0")
        client.stop()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S22",
    module=__name__,
    title="A drain with a deadline applies everything",
    done=f"{JOBS} jobs have been accepted; SIGTERM, and a drain with ample time.",
    why="The graceful stop that every ingest server needs, and every library can give.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: Queue.join",
            "https://docs.python.org/3/library/asyncio-queue.html#asyncio.Queue.join",
        ),
        Link(
            "Trio: closing a channel ends its receivers' loops",
            "https://trio.readthedocs.io/en/stable/reference-core.html#clean-shutdown-with-channels",
        ),
    ),
    shown="{applied} of {accepted} applied",
    wanted=facts(lost=0, after_close=0),
    expected=(
        expect(
            "trio modern classic hardened anyio",
            accepted=JOBS,
            applied=JOBS,
            lost=0,
            after_close=0,
            raised="nothing",
        ),
    ),
    run=run,
    exhibit=("serve",),
)
