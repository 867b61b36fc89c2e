"""By the documentation: serve_forever, with the handlers in a TaskGroup; SIGTERM cancels it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from trio_stages.compare.shells.modern import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def serve(core: Core) -> None:
    """Serve until cancelled."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    with core.store:
        async with asyncio.TaskGroup() as group:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                group.create_task(connection(core, jobs, reader, writer))

            server = await asyncio.start_server(accept, "127.0.0.1", core.options.port)
            core.listening(server.sockets[0].getsockname()[1])
            async with server:
                await server.serve_forever()


async def run(core: Core) -> None:
    """Serve until SIGTERM."""
    serving = asyncio.create_task(serve(core))

    def stop_on_signal() -> None:
        core.stopping()
        serving.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop_on_signal)
    with suppress(asyncio.CancelledError):
        await serving


def main(core: Core) -> None:
    """The process."""
    asyncio.run(run(core))
