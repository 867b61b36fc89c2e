"""S31: descriptors after a hard stop."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from trio_stages.compare.results import START
from trio_stages.compare.scenario import Label, Link, Scenario, expect, facts

if TYPE_CHECKING:
    import socket

    from trio_stages.compare.results import Metric
    from trio_stages.compare.trial import Client, Trial

CLIENTS = 50


def descriptors() -> set[str]:
    """Sockets that this process has open, by inode (Linux; elsewhere none is seen)."""
    found = set()
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the listing's own
        if target.startswith("socket:"):
            found.add(target)
    return found


def run(trial: Trial) -> dict[str, Metric]:
    """Fifty clients, half a request each; a hard stop, and the count after the event loop."""
    gc.disable()  # what the code has closed, not what the collector finds
    before = descriptors()
    ours: list[socket.socket] = []

    def script(client: Client) -> None:
        for _ in range(CLIENTS):
            sock = client.connect()
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
        client.until(START, "task: connection", times=CLIENTS)
        client.stop()
        ours.extend(client.sockets)

    trial.serve(script, close=False)
    left = len(descriptors() - before) - len(ours)
    for sock in ours:
        sock.close()
    return {"descriptors_left": left}


SCENARIO = Scenario(
    id="S31",
    module=__name__,
    title="Descriptors after a hard stop with open connections",
    done=(
        f"{CLIENTS} clients are in the middle of their requests; SIGTERM without a drain. Sockets "
        "of the server's side that are open after its event loop has ended, uncollected."
    ),
    why="A test suite, or a supervisor that restarts in one process, runs out of descriptors.",
    label=Label.SAME,
    links=(
        Link(
            "asyncio: StreamWriter.close",
            "https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.close",
        ),
    ),
    shown="{descriptors_left} left",
    wanted=facts(descriptors_left=0),
    expected=(expect("trio modern classic hardened anyio", descriptors_left=0),),
    run=run,
    exhibit=("connection",),
)
