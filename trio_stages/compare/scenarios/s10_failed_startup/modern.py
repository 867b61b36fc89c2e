"""asyncio: the TaskGroup cancels whoever waits in it for an event that will not come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.shells.modern import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def serve(core: Core, ready: asyncio.Event) -> None:
    """Listen, say so, and serve."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    with core.store:
        async with asyncio.TaskGroup() as group:
            server = await asyncio.start_server(
                lambda *streams: group.create_task(connection(core, jobs, *streams)),
                "127.0.0.1",
                core.options.port,
            )
            ready.set()
            await server.serve_forever()


async def run(core: Core) -> None:
    """Start the server, and announce it when it is ready."""
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(core, ready))
        await ready.wait()
        core.listening(core.options.port)


def main(core: Core) -> None:
    """The process."""
    asyncio.run(run(core))
