"""S4: a job takes too long, and is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START, STOP
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

TIMEOUT_S = 0.25
# How long the first attempt's thread goes on, unless a second one has begun before.
HOLD_S = 1.0


def run(trial: Trial) -> None:
    """One job, one worker, two attempts; the first outlasts its timeout."""
    core = trial.configure(workers=1, job_timeout_s=TIMEOUT_S, attempts=2)
    recorder = core.recorder

    def work(job: Job) -> None:
        if recorder.count(START, "thread: job") == 1:
            recorder.wait(START, "thread: job", times=2, timeout_s=HOLD_S)

    def script(client: Client) -> None:
        client.post("job")
        client.until(STOP, "thread: job")
        recorder.wait(STOP, "thread: job", times=2, timeout_s=HOLD_S)
        client.stop()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S4",
    module=__name__,
    title="A job times out and is tried again",
    done=(
        "A worker gives each job two attempts. The first one's thread is still at work when its "
        "timeout comes, and ends well a moment later."
    ),
    why=(
        "A retry is safe if the first attempt has had no effect. Where a timeout abandons a thread "
        "that works on, the customer is charged twice."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "Trio: a thread cannot be cancelled, so run_sync waits for it",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.to_thread.run_sync",
        ),
        Link(
            "asyncio: to_thread",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread",
        ),
    ),
    shown="applied {applied}×",
    wanted=facts(applied=1),
    expected=(
        expect("trio anyio", applied=1, applied_twice=0),
        expect("modern classic hardened", applied=2, applied_twice=1),
    ),
    run=run,
    exhibit=("process", "worker"),
    note=(
        "Waiting for the thread, as the hardened shell does, is not enough: it still reports a "
        "timeout for a job that was applied. Trio returns the thread's result, for the timeout "
        "came too late to stop anything; without the line with the timeout the hardened shell "
        "would do the same. The cure in every column is a key that makes the effect idempotent, "
        "such as the ladder's ledger."
    ),
)
