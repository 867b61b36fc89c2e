"""anyio: receive, or not; nothing between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, items: int) -> int:
    """Return how many items were received."""
    send, receive = anyio.create_memory_object_stream[int](items)
    got = 0

    async def get(scope: anyio.CancelScope) -> None:
        nonlocal got
        with scope:
            await receive.receive()
            got += 1

    for item in range(items):
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            group.start_soon(get, scope)
            await anyio.lowlevel.checkpoint()
            if item % 2:
                scope.cancel()
                send.send_nowait(item)
            else:
                send.send_nowait(item)
                scope.cancel()
    with send, receive:
        return got + receive.statistics().current_buffer_used


def main(core: Core, items: int) -> int:
    """The process."""
    return anyio.run(run, core, items)
