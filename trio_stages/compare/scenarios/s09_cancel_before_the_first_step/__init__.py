"""S9: tasks that are cancelled before their first step."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Trial

CONNECTIONS = 10
# How long a client waits for the end of its connection; where it has not come at once it will not.
FIRST_S = 0.2


def run(trial: Trial) -> dict[str, Metric]:
    """Ten accepted connections are handed to tasks, and these are cancelled at that moment."""
    listener = socket.create_server(("127.0.0.1", 0))
    clients = [socket.create_connection(listener.getsockname()) for _ in range(CONNECTIONS)]
    accepted = [listener.accept()[0] for _ in clients]
    closed = 0

    def observe() -> None:
        """What the clients see, while the event loop is still running."""
        nonlocal closed
        for client in clients:
            client.settimeout(FIRST_S)
            with suppress(TimeoutError):
                closed += client.recv(1) == b""

    trial.code.main(trial.core, accepted, observe)
    for sock in (listener, *clients):
        sock.close()
    return {"handed_over": CONNECTIONS, "closed": closed}


SCENARIO = Scenario(
    id="S9",
    module=__name__,
    title="Cancelled before the first step",
    done=(
        f"{CONNECTIONS} accepted connections are handed to as many new tasks, each of which would "
        "close its own in a `finally`. They are cancelled before the event loop has begun any of "
        "them, and the server goes on. `closed`: connections whose clients see the end."
    ),
    why=(
        "A timeout or a stop in a burst of new connections is an ordinary moment. A task that "
        "never begins never reaches its `finally`: its client waits on a connection that nobody "
        "has, and the event loop keeps the descriptor for as long as it runs."
    ),
    label=Label.TRIO_BETTER,
    links=(
        Link(
            "Trio #41: what if a task is cancelled before it begins?",
            "https://github.com/python-trio/trio/issues/41",
        ),
        Link(
            "asyncio: eager_task_factory (3.12)",
            "https://docs.python.org/3/library/asyncio-task.html#asyncio.eager_task_factory",
        ),
    ),
    shown="{closed} of {handed_over} closed",
    wanted=facts(closed=CONNECTIONS),
    expected=(
        expect("trio anyio hardened", closed=CONNECTIONS),
        expect("modern classic", closed=0),
    ),
    run=run,
    note=(
        "Trio runs every task up to its first checkpoint. In asyncio the giver can keep the duty: "
        "a done callback closes what the task may not have (the hardened shell), or, since 3.12, "
        "`eager_task_factory` begins each task at once (S9b)."
    ),
)
