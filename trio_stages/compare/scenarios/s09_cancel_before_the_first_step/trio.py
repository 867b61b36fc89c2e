"""Trio: every task reaches its first checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_stages.compare.shells.trio import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def run(core: Core, accepted: list[socket.socket], observe: Callable[[], None]) -> None:
    """Give each connection a task, cancel them all, and look what the clients see."""
    jobs, _ = trio.open_memory_channel[Job](core.options.capacity)
    with core.store:
        async with trio.open_nursery() as nursery:
            for sock in accepted:
                sock.setblocking(False)
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
                nursery.start_soon(connection, core, jobs, stream)
            core.recorder.event("cancel", "server", "all at once")
            nursery.cancel_scope.cancel()
        await trio.to_thread.run_sync(observe)


def main(core: Core, accepted: list[socket.socket], observe: Callable[[], None]) -> None:
    """The process."""
    trio.run(run, core, accepted, observe)
