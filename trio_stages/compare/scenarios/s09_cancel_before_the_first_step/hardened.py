"""asyncio: who creates the task sees to it that its connection is closed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from trio_stages.compare.shells.hardened import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trio_stages.compare.core import Core


def close(writer: asyncio.StreamWriter, _: asyncio.Task[None]) -> None:
    """The task has ended, whether or not it ever began."""
    writer.close()


async def run(core: Core, accepted: list[socket.socket], observe: Callable[[], None]) -> None:
    """Give each connection a task, cancel them all, and look what the clients see."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    streams = [await asyncio.open_connection(sock=sock) for sock in accepted]
    with core.store:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for reader, writer in streams:
                task = group.create_task(connection(core, jobs, reader, writer))
                task.add_done_callback(partial(close, writer))
                tasks.append(task)
            core.recorder.event("cancel", "server", "all at once")
            for task in tasks:
                task.cancel()
        await asyncio.to_thread(observe)


def main(core: Core, accepted: list[socket.socket], observe: Callable[[], None]) -> None:
    """The process."""
    asyncio.run(run(core, accepted, observe))
