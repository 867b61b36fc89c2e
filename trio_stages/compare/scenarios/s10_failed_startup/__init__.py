"""S10: the server cannot start, and somebody waits until it is ready."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, contains, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial


def run(trial: Trial) -> None:
    """The port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        trial.configure(port=other.getsockname()[1])

        def script(client: Client) -> None:
            raise AssertionError("it cannot have started")

        trial.run(lambda: trial.code.main(trial.core), script, required=False)


SCENARIO = Scenario(
    id="S10",
    module=__name__,
    title="The port is taken, and the caller waits until the server is ready",
    done=(
        "The caller starts the server in the background and waits for its readiness, to announce "
        "it. The server cannot listen: its port belongs to another process."
    ),
    why="A service that neither runs nor fails is what its supervisor cannot restart.",
    label=Label.SAME,
    links=(
        Link(
            "Trio: Nursery.start",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.Nursery.start",
        ),
        Link(
            "asyncio: TaskGroup",
            "https://docs.python.org/3/library/asyncio-task.html#task-groups",
        ),
    ),
    shown="raised: {raised}",
    wanted=facts(raised=contains("OSError")),
    expected=(
        expect("trio anyio modern hardened", raised="OSError", exit_status=1),
        expect("classic", outcome="HANG"),
    ),
    run=run,
    limit_s=3.0,
    note=(
        "Trio's `nursery.start` hands the error to the line that asked to start. A TaskGroup "
        "cancels whoever waits in it. A bare task keeps its error to itself, and the event that "
        "it was to set is never set."
    ),
)
