"""S13: a thread is about to call back into the event loop, and its job has been cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import CANCEL, CLOSE, START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial

# How long the thread waits for the close, which in some columns waits for the thread.
HOLD_S = 0.5


def run(trial: Trial) -> dict[str, Metric]:
    """SIGTERM while the thread is in the first half of its job; it reports, and goes on."""
    core = trial.configure(workers=1)
    recorder = core.recorder
    reported: list[bool] = []

    def first_half() -> None:
        """Until the job has been cancelled."""
        with recorder.bar("thread: job", "first half"):
            recorder.wait(CANCEL, "server")
            recorder.wait(CLOSE, "server", timeout_s=HOLD_S)

    def report() -> None:
        """Progress, for the event loop's eyes: it changes what the loop owns."""
        reported.append(core.store.closed)
        recorder.mark("task: loop", "progress reported")

    def script(client: Client) -> None:
        client.post("job")
        client.until(START, "thread: job")
        client.stop()

    async def process(*arguments: object) -> None:
        await trial.code.process(*arguments, first_half, report)

    trial.serve(script, process=process)
    return {
        "reported": len(reported),
        "second_half": recorder.count("mark", "thread: job", "second half"),
    }


SCENARIO = Scenario(
    id="S13",
    module=__name__,
    title="A thread asks whether its job has been cancelled, before it calls back",
    done=(
        "A job in a thread reports its progress to the event loop, and then does its second half. "
        "SIGTERM cancels it before the report (`reported`: reports that reached the loop; "
        "`second_half`: whether the thread went on). In all columns but `classic` the thread asks "
        "first whether it has been cancelled."
    ),
    why=(
        "A thread cannot be cancelled from outside, but it can be told when it asks. If nobody "
        "tells it, it works on for a client that has left, on a server that is closing."
    ),
    label=Label.SAME,
    links=(
        Link(
            "Trio: from_thread.check_cancelled",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.from_thread.check_cancelled",
        ),
        Link("Trio #2392: threads can ask", "https://github.com/python-trio/trio/pull/2392"),
        Link(
            "asyncio: run_coroutine_threadsafe",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.run_coroutine_threadsafe",
        ),
    ),
    shown="second half after the stop: {second_half}",
    wanted=facts(second_half=0),
    expected=(
        expect("trio anyio modern hardened", reported=0, second_half=0),
        expect("classic", second_half=1),
    ),
    run=run,
    note=(
        "A thread that does not ask goes on, in either library. What differs is what asking takes: "
        "Trio has `check_cancelled`, a line; in asyncio the flag is one's own, a `threading.Event` "
        "that the task sets when it is cancelled. Where nobody asks, whether a report still "
        "arrives is a matter of luck: the loop may be closed."
    ),
)
