"""S15: the operator loses patience with a drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import CANCEL, START
from trio_stages.compare.scenario import Label, Link, Scenario, at_least, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial
    from trio_stages.jobs import Job

JOBS = 10
DRAIN_S = 30.0
# How long the job in hand goes on, unless the server closes before.
HOLD_S = 1.0


def run(trial: Trial) -> None:
    """SIGTERM begins a long drain; then Ctrl-C, by the runtime's default."""
    core = trial.configure(workers=1, drain_s=DRAIN_S)

    def work(job: Job) -> None:
        core.outlast_close(HOLD_S)

    def script(client: Client) -> None:
        for number in range(JOBS):
            client.post(f"job {number}")
        client.until(START, "thread: job 0")
        client.stop()
        client.until(CANCEL, "server")
        client.interrupt()

    core.work = work
    trial.serve(script)


SCENARIO = Scenario(
    id="S15",
    module=__name__,
    title="Ctrl-C while the queue is being drained",
    done=(
        f"{JOBS} jobs, one worker, and SIGTERM: the server drains. In the midst of the first job "
        "comes Ctrl-C, for which nobody has written a handler."
    ),
    why=(
        "The second signal is the impatient one. It cancels the code that was about to clean up; "
        "what that code had still to do is what goes wrong."
    ),
    label=Label.TRADE_OFF,
    links=(
        Link(
            "asyncio: handling keyboard interruption",
            "https://docs.python.org/3/library/asyncio-runner.html#handling-keyboard-interruption",
        ),
    ),
    shown="{tasks_left} tasks and {threads_left} threads left, {after_close} after closing",
    wanted=facts(tasks_left=0, threads_left=0, after_close=0),
    expected=(
        expect("trio anyio hardened", tasks_left=0, threads_left=0, after_close=0),
        expect("modern", tasks_left=0, threads_left=1, after_close=1),
        expect("classic", tasks_left=at_least(1), threads_left=1, after_close=1),
    ),
    run=run,
    exhibit=("serve",),
    note=(
        "Whoever presses Ctrl-C in the middle of a drain may well want the store to be closed at "
        "once, whatever a thread is about to do to it: that is what `modern` does. Neither process "
        "ends before the thread has."
    ),
)
