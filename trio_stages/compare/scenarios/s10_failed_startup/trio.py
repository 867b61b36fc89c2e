"""Trio: start raises where the server was to be started."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_stages.compare.shells.trio import connection
from trio_stages.jobs import Job

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def serve(
    core: Core, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Listen, say so, and serve."""
    send_jobs, _ = trio.open_memory_channel[Job](core.options.capacity)
    with core.store:
        listeners = await trio.open_tcp_listeners(core.options.port, host="127.0.0.1")
        task_status.started()
        await trio.serve_listeners(partial(connection, core, send_jobs), listeners)


async def run(core: Core) -> None:
    """Start the server, and announce it when it is ready."""
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, core)
        core.listening(core.options.port)


def main(core: Core) -> None:
    """The process."""
    trio.run(run, core)
