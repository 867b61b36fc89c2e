"""S21: a hard stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

JOBS = 20
# How long the job in hand goes on, unless the server closes before.
HOLD_S = 0.3


def run(trial: Trial) -> None:
    """Twenty jobs, one in hand; SIGTERM without a drain."""
    core = trial.configure(workers=1, drain_s=0.0)

    def work(job: Job) -> None:
        core.outlast_close(HOLD_S)

    def script(client: Client) -> None:
        for number in range(JOBS):
            client.post(f"job {number}")
        client.until(START, "thread: job 0")
        client.stop()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S21",
    module=__name__,
    title="A hard stop loses the queue",
    done=f"{JOBS} jobs have been accepted, one is in hand; SIGTERM, and no drain.",
    why="What is in memory dies with the process. No structure saves it; a drain does, or a disk.",
    label=Label.SAME,
    links=(
        Link(
            "Trio: memory channels",
            "https://trio.readthedocs.io/en/stable/reference-core.html#using-channels-to-pass-values-between-tasks",
        ),
    ),
    shown="{lost} of {accepted} lost",
    wanted=facts(lost=0),
    expected=(
        expect("trio modern classic hardened anyio", accepted=JOBS, lost=JOBS - 1, applied=1),
    ),
    run=run,
    exhibit=("serve",),
)
