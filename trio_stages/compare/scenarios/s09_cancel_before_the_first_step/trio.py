"""Trio: every task reaches its first checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_stages.compare.shells.trio import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def run(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """Give each connection a task, cancel them all, and look what the clients see."""
    jobs, _ = trio.open_memory_channel[Job](core.options.capacity)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    clients = burst(listener.socket.getsockname()[1])
    with core.store:
        async with listener, trio.open_nursery() as nursery:
            streams = [await listener.accept() for _ in range(clients)]
            for stream in streams:
                nursery.start_soon(connection, core, jobs, stream)
            core.recorder.event("cancel", "server", "all at once")
            nursery.cancel_scope.cancel()
        await trio.to_thread.run_sync(observe)


def main(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """The process."""
    trio.run(run, core, burst, observe)
