"""S5b: S5 where nobody waits for the thread, by choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

# Far longer than a stop takes that does not wait for it.
HOLD_S = 2.0


def run(trial: Trial) -> None:
    """SIGTERM while the only job is in its thread, which is given up."""
    core = trial.configure(workers=1)

    def work(job: Job) -> None:
        core.outlast_close(HOLD_S)

    def script(client: Client) -> None:
        client.post("job")
        client.until(START, "thread: job")
        client.stop()

    core.work = work
    trial.serve(script, process=trial.code.process)


SCENARIO = Scenario(
    id="S5b",
    module=__name__,
    title="SIGTERM, and the thread in hand is abandoned on purpose",
    done=(
        "As S5, but the job's thread is left alone when its task is cancelled: "
        "`abandon_on_cancel=True` in Trio and anyio, and in asyncio what `to_thread` does anyhow. "
        "`threads_behind`: whether it is still at work when the server's main function returns, so "
        "that the process could end."
    ),
    why=(
        "Sometimes leaving in time matters more than a job: a supervisor kills after its grace "
        "period. Then it should be a decision that can be read in the code."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "Trio: abandon_on_cancel",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.to_thread.run_sync",
        ),
        Link(
            "asyncio: shutdown_default_executor",
            "https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.shutdown_default_executor",
        ),
        Link(
            "anyio: abandon_on_cancel",
            "https://anyio.readthedocs.io/en/stable/threads.html",
        ),
    ),
    shown="{threads_left} left at the close, {threads_behind} at the end",
    wanted=facts(threads_left=1, threads_behind=1),
    expected=(
        expect("trio anyio", threads_left=1, threads_behind=1, after_close=1),
        expect("modern classic hardened", threads_left=1, threads_behind=0, after_close=1),
    ),
    run=run,
    note=(
        "asyncio leaves the thread and closes the store at once; then `asyncio.run` waits for the "
        "thread all the same (`loop.shutdown_default_executor`: for ever in 3.11, for five minutes "
        "since 3.12). Who has to be gone in time starts a daemon thread of their own in place of "
        "`to_thread`, or ends by `os._exit`. Trio's and anyio's threads are daemons. The price is "
        "the same everywhere: what the thread does is done to a closed store."
    ),
)
