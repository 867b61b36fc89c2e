"""asyncio: who creates the task sees to it that its connection is closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.shells.hardened import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def run(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """Give each connection a task, cancel them all, and look what the clients see."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    tasks = set[asyncio.Task[None]]()
    cancelled = asyncio.Event()

    def cancel_all() -> None:
        core.recorder.event("cancel", "server", "all at once")
        for task in tasks:
            task.cancel()
        cancelled.set()

    with core.store:
        async with asyncio.TaskGroup() as group:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if not tasks:  # behind the burst, and before any of its tasks
                    asyncio.get_running_loop().call_soon(cancel_all)
                task = group.create_task(connection(core, jobs, reader, writer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                task.add_done_callback(lambda _: writer.close())  # whether or not it ever began

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            burst(server.sockets[0].getsockname()[1])
            await cancelled.wait()
        await asyncio.to_thread(observe)
        server.close()


def main(core: Core, burst: Callable[[int], int], observe: Callable[[], None]) -> None:
    """The process."""
    asyncio.run(run(core, burst, observe))
