"""anyio: start raises where the server was to be started."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from trio_stages.compare.shells.anyio import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def serve(
    core: Core, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Listen, say so, and serve."""
    send_jobs, unused = anyio.create_memory_object_stream[Job](core.options.capacity)
    with core.store, send_jobs, unused:
        listener = await anyio.create_tcp_listener(
            local_host="127.0.0.1", local_port=core.options.port
        )
        async with listener:
            task_status.started()
            await listener.serve(partial(connection, core, send_jobs))


async def run(core: Core) -> None:
    """Start the server, and announce it when it is ready."""
    async with anyio.create_task_group() as group:
        await group.start(serve, core)
        core.listening(core.options.port)


def main(core: Core) -> None:
    """The process."""
    anyio.run(run, core)
