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
        "`abandon_on_cancel=True` in Trio and anyio, and in asyncio what `to_thread` does anyhow."
    ),
    why=(
        "Sometimes leaving in time matters more than a job: a supervisor kills after its grace "
        "period. Then it should be a decision that can be read in the code."
    ),
    label=Label.SAME,
    links=(
        Link(
            "Trio: abandon_on_cancel",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.to_thread.run_sync",
        ),
        Link(
            "anyio: abandon_on_cancel",
            "https://anyio.readthedocs.io/en/stable/threads.html",
        ),
    ),
    shown="{threads_left} thread left, {after_close} after closing",
    wanted=facts(threads_left=1),
    expected=(expect("trio modern classic hardened anyio", threads_left=1, after_close=1),),
    run=run,
    note="The price is the same everywhere: what the thread does is done to a closed store.",
)
