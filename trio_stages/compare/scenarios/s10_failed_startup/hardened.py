"""asyncio: a future takes the answer, readiness or the error, to the line that waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.shells.hardened import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def serve(core: Core, ready: asyncio.Future[None]) -> None:
    """Listen, say so, and serve."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    with core.store:
        async with asyncio.TaskGroup() as group:
            server = await asyncio.start_server(
                lambda *streams: group.create_task(connection(core, jobs, *streams)),
                "127.0.0.1",
                core.options.port,
            )
            ready.set_result(None)
            await server.serve_forever()


async def run(core: Core) -> None:
    """Start the server, and announce it when it is ready."""
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(core, ready))
    await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        task.result()  # raises what kept it from being ready
    core.listening(core.options.port)
    await task


def main(core: Core) -> None:
    """The process."""
    asyncio.run(run(core))
