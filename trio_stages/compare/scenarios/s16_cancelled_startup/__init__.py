"""S16: starting up takes too long, and whoever asked gives up."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

#: What the caller grants; the last step of the start never comes.
TIMEOUT_S = 0.5


def run(trial: Trial) -> dict[str, Metric]:
    """Workers run, the socket listens, and the warm-up is cancelled."""
    core = trial.core
    still_listening: list[bool] = []

    def observe() -> None:
        """What is left, while the event loop is still running."""
        core.recorder.mark("server", f"{core.recorder.open('task')} tasks left")
        trial.metrics["left_running"] = core.recorder.open("task")
        with suppress(OSError), socket.create_connection(("127.0.0.1", core.port), timeout=1.0):
            still_listening.append(True)

    trial.run(lambda: trial.code.main(core, TIMEOUT_S, observe), lambda client: None)
    return {"still_listening": len(still_listening)}


SCENARIO = Scenario(
    id="S16",
    module=__name__,
    title="A cancelled start-up",
    done=(
        "Starting takes three steps: workers, listening socket, warm-up. The caller grants "
        f"{TIMEOUT_S:g} s, and the warm-up does not end. What is left of the first two steps "
        "(`left_running`, `still_listening`), while the caller goes on to try another port?"
    ),
    why=(
        "Half a server that nobody owns answers health checks, and has the port when the next one "
        "wants to start."
    ),
    label=Label.SAME,
    links=(
        Link(
            "Trio: cancellation and timeouts",
            "https://trio.readthedocs.io/en/stable/reference-core.html#cancellation-and-timeouts",
        ),
        Link(
            "asyncio: wait_for",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.wait_for",
        ),
    ),
    shown="{left_running} tasks left, listening: {still_listening}",
    wanted=facts(left_running=0, still_listening=0),
    expected=(
        expect("trio anyio modern hardened", left_running=0, still_listening=0),
        expect("classic", left_running=2, still_listening=0),
    ),
    run=run,
    note=(
        "What a block has opened, the block ends: nursery, TaskGroup, `async with server`. Tasks "
        "that were started without a block need a `try` of their own."
    ),
)
