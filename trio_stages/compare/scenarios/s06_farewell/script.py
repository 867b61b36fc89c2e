"""A client that reads, a client that does not, and a stop."""

from __future__ import annotations

import select
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from trio_stages.compare.trial import Client, Trial

# Before we ask whether a server that takes nothing at the moment is waiting for its client to read.
PAUSE_S = 0.1
ROUND_TRIPS = 3
FLOOD = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000


def run(trial: Trial) -> None:
    """Serve with the column's own connection; `farewells` counts those that arrived."""
    core = trial.core
    trial.metrics["farewells"] = 0

    def is_blocked(client: Client, live: socket.socket) -> bool:
        """Others are answered, and nothing is taken from the flood: its task waits in a send."""
        before = core.feeds
        for _ in range(ROUND_TRIPS):
            client.greet(live)
        return core.feeds - before == ROUND_TRIPS

    def script(client: Client) -> None:
        live = client.connect_and_greet()
        dead = client.connect_and_greet()
        dead.setblocking(False)
        while select.select([], [dead], [], PAUSE_S)[1] or not is_blocked(client, live):
            with suppress(BlockingIOError):
                dead.send(FLOOD)
        client.recorder.mark("client", "one client has stopped reading")
        client.stop()
        if b"shutting_down" in client.receive(live):
            client.recorder.mark("client", "a farewell has arrived")
            trial.metrics["farewells"] = 1

    trial.serve(script, connection=trial.code.connection)
