"""S18: clients that vanish in the middle of a request."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from trio_stages.compare.results import START, STOP
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial

CLIENTS = 50


def run(trial: Trial) -> dict[str, Metric]:
    """Fifty clients send half a body and reset the connection; one behaves."""
    seen: dict[str, Metric] = {}

    def script(client: Client) -> None:
        for number in range(CLIENTS):
            sock = client.connect()
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
            # Close with a reset: no goodbye, as when a cable is pulled and the peer reboots.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.until(START, "task: connection", times=number + 1)
            sock.close()
        seen["good_client"] = client.post("job")
        client.until(STOP, "task: connection", times=CLIENTS)
        client.until(STOP, "thread: job")
        seen["connections_left"] = client.recorder.open("task: connection")
        client.stop()

    trial.serve(script)
    return seen


SCENARIO = Scenario(
    id="S18",
    module=__name__,
    title="Clients gone in the middle of a body",
    done=f"{CLIENTS} clients send half a request and reset the connection; then a good one posts.",
    why="It happens all day on a mobile network, and must cost nothing but the connection.",
    label=Label.SAME,
    links=(
        Link(
            "Trio: BrokenResourceError",
            "https://trio.readthedocs.io/en/stable/reference-core.html#trio.BrokenResourceError",
        ),
    ),
    shown="good client: {good_client}, {raised} raised",
    wanted=facts(good_client=202, lost=0, raised="nothing"),
    expected=(
        expect(
            "trio modern classic hardened anyio",
            good_client=202,
            lost=0,
            applied=1,
            raised="nothing",
        ),
    ),
    run=run,
    exhibit=("connection",),
)
