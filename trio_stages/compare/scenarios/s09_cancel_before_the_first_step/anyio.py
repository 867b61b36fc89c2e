"""anyio: every task reaches its first checkpoint, on asyncio's loop too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from trio_stages.compare.shells.anyio import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def run(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """Give each connection a task, cancel them all, and look what the clients see."""
    jobs, unused = anyio.create_memory_object_stream[Job](core.options.capacity)
    several = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = several.listeners[0]
    assert isinstance(listener, anyio.abc.SocketListener)
    clients = burst(several.extra(anyio.abc.SocketAttribute.local_port))
    with core.store, jobs, unused:
        async with several, anyio.create_task_group() as group:
            streams = [await listener.accept() for _ in range(clients)]
            for stream in streams:
                group.start_soon(connection, core, jobs, stream)
            core.recorder.event("cancel", "server", "all at once")
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(observe)


def main(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """The process."""
    anyio.run(run, core, burst, observe)
