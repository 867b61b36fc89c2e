"""S17: Ctrl-C, and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trio_stages.compare.core import BEHIND_S
from trio_stages.compare.results import START, STOP
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

# How long the job in hand goes on, unless the server closes before.
HOLD_S = 1.0


def run(trial: Trial) -> None:
    """Ctrl-C while a job is in its thread; a second one while the first is being obeyed."""
    core = trial.configure(workers=1)
    recorder = core.recorder

    def work(job: Job) -> None:
        core.outlast_close(HOLD_S)

    def script(client: Client) -> None:
        client.connect_and_greet()
        client.post("job")
        client.until(START, "thread: job")
        client.interrupt()
        # In every column the idle connection ends by the first one (the poster's has ended before).
        # A moment later the event loop only waits for the thread; a signal that comes in the midst
        # of its work tears whatever it happens to be at, now this and now that.
        recorder.wait(STOP, "task: connection", times=2)
        time.sleep(BEHIND_S)
        if not client.ended:
            client.interrupt()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S17",
    module=__name__,
    title="Ctrl-C twice while a job is in its thread",
    done=(
        "A job is in its thread when Ctrl-C comes, and once more while the server is still obeying "
        "the first. There is no handler."
    ),
    why=(
        "Everybody presses it twice. Then cleanup is torn, or the process ends with a thread still "
        "at work on a closed store."
    ),
    label=Label.TRADE_OFF,
    links=(
        Link(
            "asyncio: handling keyboard interruption",
            "https://docs.python.org/3/library/asyncio-runner.html#handling-keyboard-interruption",
        ),
        Link(
            "Trio: run, and KeyboardInterrupt",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.run",
        ),
    ),
    shown="{after_close} after closing, {threads_left} threads left",
    wanted=facts(after_close=0, threads_left=0),
    expected=(
        expect("trio hardened", after_close=0, threads_left=0),
        expect("modern classic anyio", after_close=1, threads_left=1),
    ),
    run=run,
    exhibit=("serve", "main"),
    note=(
        "anyio shields its own cancellations; the second Ctrl-C ends `asyncio.run`, which cancels "
        "every task natively, past the shield. Trio waits for the thread, however often one "
        "presses: whoever wants to leave at once has to say so (S5b)."
    ),
)
