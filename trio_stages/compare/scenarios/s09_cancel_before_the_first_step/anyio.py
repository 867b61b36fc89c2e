"""anyio: every task reaches its first checkpoint, on asyncio's loop too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from trio_stages.compare.shells.anyio import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def run(core: Core, accepted: list[socket.socket], observe: Callable[[], None]) -> None:
    """Give each connection a task, cancel them all, and look what the clients see."""
    jobs, unused = anyio.create_memory_object_stream[Job](core.options.capacity)
    streams = [await anyio.abc.SocketStream.from_socket(sock) for sock in accepted]
    with core.store, jobs, unused:
        async with anyio.create_task_group() as group:
            for stream in streams:
                group.start_soon(connection, core, jobs, stream)
            core.recorder.event("cancel", "server", "all at once")
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(observe)


def main(core: Core, accepted: list[socket.socket], observe: Callable[[], None]) -> None:
    """The process."""
    anyio.run(run, core, accepted, observe)
