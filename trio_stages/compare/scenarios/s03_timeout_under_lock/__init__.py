"""S3: a job takes too long; its thread does not know."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trio_stages.compare.results import START, STOP
from trio_stages.compare.scenario import Label, Link, Scenario, at_least, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

TIMEOUT_S = 0.25
# What the second job has to do, well within its time.
WORK_S = 0.15
# How long the first thread stays in the store, unless another one has come and gone before.
HOLD_S = 1.0


def run(trial: Trial) -> None:
    """Two jobs, two workers, one lock; the first job outlasts its timeout."""
    core = trial.configure(workers=2, job_timeout_s=TIMEOUT_S)

    def work(job: Job) -> None:
        if job.event.user == "slow":
            core.recorder.wait(STOP, "thread: next", timeout_s=HOLD_S)
        else:
            time.sleep(WORK_S)

    def script(client: Client) -> None:
        client.post("slow")
        client.until(START, "thread: slow")
        client.post("next")
        client.until(STOP, "thread: next")
        client.until(STOP, "thread: slow")
        client.stop()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S3",
    module=__name__,
    title="A job times out while its thread is at work under the lock",
    done=(
        "Two jobs, two workers, one lock around the store. The first job is still in its thread, "
        "between reading the balance and writing it, when its timeout comes. The second job waits "
        "for the lock."
    ),
    why=(
        "A timeout releases the lock; a thread cannot be cancelled. If the lock is released while "
        "the thread works on, the next job reads a balance that is about to be overwritten: an "
        "update is lost, nothing says so (the only error is the timeout's own), and the lock looks "
        "right in every review."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "asyncio: to_thread",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread",
        ),
        Link(
            "Trio: threads and cancellation",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.to_thread.run_sync",
        ),
    ),
    shown="{overlaps} overlap, {lost_updates} update lost",
    wanted=facts(overlaps=0, lost_updates=0),
    expected=(
        expect("trio anyio", overlaps=0, lost_updates=0, applied=2),
        expect("modern classic", overlaps=at_least(1), lost_updates=1, applied=2),
        expect("hardened", overlaps=0, lost_updates=0, applied=2),
    ),
    run=run,
    exhibit=("process",),
    note=(
        "The cure in asyncio is a helper that does not return before the thread has, cancelled or "
        "not (`in_thread` in the hardened shell), used everywhere instead of `to_thread`. In Trio "
        "the timeout has no effect on a thread that has begun: none is raised, and the job counts "
        "as done; the mark in the picture is when it was due."
    ),
)
