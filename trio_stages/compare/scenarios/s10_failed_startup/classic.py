"""asyncio: the task has failed, and the event will not come."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from trio_stages.compare.shells.classic import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def serve(core: Core, ready: asyncio.Event) -> None:
    """Listen, say so, and serve."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    with core.store:
        accept = partial(connection, core, jobs)
        server = await asyncio.start_server(accept, "127.0.0.1", core.options.port)
        ready.set()
        await server.serve_forever()


async def run(core: Core) -> None:
    """Start the server, and announce it when it is ready."""
    ready = asyncio.Event()
    task = asyncio.create_task(serve(core, ready))
    await ready.wait()
    core.listening(core.options.port)
    await task


def main(core: Core) -> None:
    """The process."""
    asyncio.run(run(core))
