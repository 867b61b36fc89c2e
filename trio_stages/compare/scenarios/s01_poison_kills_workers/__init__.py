"""S1: two jobs that raise, two workers, and then customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.core import POISON
from trio_stages.compare.results import STOP
from trio_stages.compare.scenario import Label, Link, Scenario, contains, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial

WORKERS = 2
POSTS = 150


def run(trial: Trial) -> dict[str, Metric]:
    """A poisonous job for each worker; then 150 good ones."""
    core = trial.configure(workers=WORKERS, capacity=100)
    names = [f"job {number}" for number in range(POSTS)]

    def script(client: Client) -> None:
        for number in range(WORKERS):
            client.post(f"{POISON} {number}")
        # Each is in a thread of its own before it raises; then the workers have ended, or not.
        client.recorder.wait(STOP, f"thread: {POISON}", times=WORKERS, timeout_s=1.0)
        client.server_ends(1.0)
        for name in names:
            client.post(name)
        if not client.server_ends(0.3):
            client.stop()

    trial.serve(script)
    answered = [name for name in names if name in core.accepted]
    return {
        "accepted_later": len(answered),
        "in_vain": sum(name not in core.store.applied for name in answered),
    }


SCENARIO = Scenario(
    id="S1",
    module=__name__,
    title="Poisonous jobs kill the workers; the customers come later",
    done=(
        f"{WORKERS} workers; as many jobs raise an exception that nobody catches. Then {POSTS} "
        "good jobs are posted (`in_vain`: those that were answered with 202 and never applied)."
    ),
    why=(
        "A server that says 202 with no worker alive looks healthy in every graph but one. It "
        "should either go on working or die where a supervisor can see it."
    ),
    label=Label.SAME,
    links=(
        Link(
            "asyncio: keep a reference, retrieve the exception",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task",
        ),
        Link(
            "asyncio: TaskGroup",
            "https://docs.python.org/3/library/asyncio-task.html#task-groups",
        ),
        Link(
            "Trio: nurseries propagate",
            "https://trio.readthedocs.io/en/stable/reference-core.html#tasks-let-you-do-multiple-things-at-once",
        ),
    ),
    shown="raised: {raised}; 202 in vain: {in_vain}",
    wanted=facts(in_vain=0),
    expected=(
        expect("trio anyio modern", ended_by=contains("Poison"), exit_status=1, in_vain=0),
        expect("classic", ended_by="return", exit_status=0, accepted_later=100, in_vain=100),
        expect("hardened", ended_by="return", in_vain=0),
    ),
    run=run,
    exhibit=("worker", "serve"),
    note=(
        "The structure decides, not the library: a nursery and a TaskGroup both end the server at "
        "once. To survive a bad job each worker needs an `except` around it, in every column (the "
        "hardened shell and this project's ladder have one)."
    ),
)
