"""S5: a stop while a job is in its thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

# How long the job's thread goes on, unless the server closes before.
HOLD_S = 1.0


def run(trial: Trial) -> None:
    """SIGTERM while the only job is in its thread, between reading and writing."""
    core = trial.configure(workers=1)

    def work(job: Job) -> None:
        core.outlast_close(HOLD_S)

    def script(client: Client) -> None:
        client.post("job")
        client.until(START, "thread: job")
        client.stop()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S5",
    module=__name__,
    title="SIGTERM while a job is in its thread",
    done=(
        f"A hard stop (no drain) while a job is in its thread for {HOLD_S:g} s. The server closes "
        "its store and says that it is closed."
    ),
    why=(
        "What a thread writes to a store that has been closed is lost, corrupts the store or "
        "crashes, depending on the store. Waiting for the thread costs time that a supervisor may "
        "not grant."
    ),
    label=Label.TRADE_OFF,
    links=(
        Link(
            "Trio: abandon_on_cancel",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.to_thread.run_sync",
        ),
        Link(
            "asyncio: to_thread",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread",
        ),
    ),
    shown="{after_close} after closing, {threads_left} threads left",
    wanted=facts(after_close=0, threads_left=0),
    expected=(
        expect("trio anyio hardened", applied=1, after_close=0, threads_left=0),
        expect("modern classic", applied=1, after_close=1, threads_left=1),
    ),
    run=run,
    exhibit=("process",),
    note=(
        "asyncio has closed its store in a millisecond, Trio when the thread has ended "
        "(`quiesce_ms`). Each can have the other's: the shield loop of the hardened shell, and "
        "S5b. The process ends with the thread in both: `asyncio.run` waits for it after all, when "
        "everything is closed."
    ),
)
