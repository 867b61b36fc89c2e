"""asyncio: a task that is cancelled before its first step never takes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.shells.classic import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from trio_stages.compare.core import Core


async def run(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """Let asyncio make the tasks, cancel them all, and look what the clients see."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    cancelled = asyncio.Event()
    loop = asyncio.get_running_loop()
    begun = False

    def cancel_all() -> None:
        core.recorder.event("cancel", "server", "all at once")
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__name__", "") == "connection":
                task.cancel()
        cancelled.set()

    def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Coroutine[None, None, None]:
        nonlocal begun
        if not begun:  # behind the burst, and before any of its tasks
            begun = True
            loop.call_soon(cancel_all)
        return connection(core, jobs, reader, writer)

    with core.store:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        burst(server.sockets[0].getsockname()[1])
        await cancelled.wait()
        await asyncio.to_thread(observe)
        server.close()


def main(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """The process."""
    asyncio.run(run(core, burst, observe))
