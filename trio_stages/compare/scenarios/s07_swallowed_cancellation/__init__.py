"""S7: a cancellation meets `except BaseException: pass`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial


def run(trial: Trial) -> None:
    """SIGTERM while the worker is in code that swallows whatever comes."""
    trial.configure(workers=1)

    def script(client: Client) -> None:
        client.post("job")
        client.until(START, "task: swallows")
        client.stop()

    trial.serve(script, process=trial.code.process)


SCENARIO = Scenario(
    id="S7",
    module=__name__,
    title="Code that swallows the cancellation once",
    done=(
        "A worker calls code with `except BaseException: pass` around an await, a library's retry "
        "or cleanup. SIGTERM comes during that await; then the worker waits for its next job."
    ),
    why=(
        "Such code exists in every larger service, and often it is not ours. If one swallowed "
        "cancellation is the last there will be, the stop waits for ever."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "Trio: a cancelled scope stays cancelled",
            "https://trio.readthedocs.io/en/stable/reference-core.html#cancellation-semantics",
        ),
        Link(
            "asyncio: swallowing CancelledError may misbehave",
            "https://docs.python.org/3/library/asyncio-task.html#task-cancellation",
        ),
    ),
    shown="ended, {tasks_left} tasks left",
    wanted=facts(tasks_left=0),
    expected=(
        expect("trio anyio hardened", tasks_left=0, ended_by="return"),
        expect("modern classic", outcome="HANG"),
    ),
    run=run,
    limit_s=3.0,
    note="The hardened shell cancels until the task has ended (`cancel_and_wait`).",
)
