"""A client that reads, a client that does not, and a stop."""

from __future__ import annotations

import select
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.trial import Client, Trial

# A server that takes nothing more for so long is waiting for its client to read.
BLOCKED_S = 0.3
FLOOD = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000


def run(trial: Trial) -> None:
    """Serve with the column's own connection; `farewells` counts those that arrived."""
    trial.metrics["farewells"] = 0

    def script(client: Client) -> None:
        live = client.connect_and_greet()
        dead = client.connect_and_greet()
        dead.setblocking(False)
        while select.select([], [dead], [], BLOCKED_S)[1]:
            with suppress(BlockingIOError):
                dead.send(FLOOD)
        client.recorder.mark("client", "one client has stopped reading")
        client.stop()
        if b"shutting_down" in client.receive(live):
            client.recorder.mark("client", "a farewell has arrived")
            trial.metrics["farewells"] = 1

    trial.serve(script, connection=trial.code.connection)
