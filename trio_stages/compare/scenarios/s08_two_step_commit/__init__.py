"""S8: a stop between the two steps of a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

# How long the first step takes, unless the server closes before.
HOLD_S = 1.0


def run(trial: Trial) -> dict[str, Metric]:
    """SIGTERM in the first of two steps that belong together."""
    core = trial.configure(workers=1)
    written: list[str] = []

    def journal(job: Job) -> None:
        with core.recorder.bar("thread: journal", job.event.user):
            core.outlast_close(HOLD_S)
            written.append(job.event.user)

    def script(client: Client) -> None:
        client.post("job")
        client.until(START, "thread: journal")
        client.stop()

    core.journal = journal
    trial.serve(script, process=trial.code.process)
    return {"journaled": len(written), "half_done": len(written) - core.store.applied.total()}


SCENARIO = Scenario(
    id="S8",
    module=__name__,
    title="A commit of two steps, and a stop between them",
    done=(
        "Each job is first written to a journal, then applied to the store; the two are protected "
        "from cancellation by what the library has for it. SIGTERM comes in the first step."
    ),
    why=(
        "Half a commit is worse than none: after the restart the journal and the balances disagree."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "asyncio: shield",
            "https://docs.python.org/3/library/asyncio-task.html#shielding-from-cancellation",
        ),
        Link(
            "Trio: CancelScope.shield",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.CancelScope.shield",
        ),
    ),
    shown="journal {journaled}, store {applied}",
    wanted=facts(half_done=0),
    expected=(
        expect("trio anyio hardened", journaled=1, applied=1, half_done=0, after_close=0),
        expect("modern classic", journaled=1, applied=0, half_done=1),
    ),
    run=run,
    note=(
        "Trio's shield keeps the task inside. `asyncio.shield` lets the caller go and leaves the "
        "commit behind as a task of its own, which the end of `asyncio.run` cancels. The cure, "
        "where the server's TaskGroup is at hand: `shield(group.create_task(commit()))`, for then "
        "the group waits for it before the store is closed."
    ),
)
