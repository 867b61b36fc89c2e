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
    """Ten connections that come at once are handed to tasks, which are cancelled at that moment."""
    clients: list[socket.socket] = []
    closed = 0

    def burst(port: int) -> int:
        """All of them in one turn of the event loop; return how many."""
        clients.extend(socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS))
        return len(clients)

    def observe() -> None:
        """What the clients see, while the event loop is still running."""
        nonlocal closed
        for client in clients:
            client.settimeout(FIRST_S)
            with suppress(TimeoutError):
                closed += client.recv(1) == b""

    trial.code.main(trial.core, burst, observe)
    for sock in clients:
        sock.close()
    return {"handed_over": CONNECTIONS, "closed": closed}


SCENARIO = Scenario(
    id="S9",
    module=__name__,
    title="Cancelled before the first step",
    done=(
        f"{CONNECTIONS} connections come in one turn of the event loop and are handed to as many "
        "new tasks, each of which would close its own in a `finally`. They are cancelled before "
        "the loop has begun any of them, and the server goes on. `closed`: connections whose "
        "clients see the end."
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
        expect("modern classic", before=(3, 13), closed=0),
        expect(
            "modern classic",
            since=(3, 13),
            closed=CONNECTIONS,
            because="the stream's protocol closes what nobody has any more",
        ),
    ),
    run=run,
    note=(
        "Trio runs every task up to its first checkpoint. In asyncio the giver can keep the duty: "
        "a done callback closes what the task may not have (the hardened shell), or, since 3.12, "
        "`eager_task_factory` begins each task at once (S9b). Since 3.13 asyncio's streams close "
        "such a connection by themselves; whatever else a task would have let go of, they cannot "
        "know."
    ),
)
