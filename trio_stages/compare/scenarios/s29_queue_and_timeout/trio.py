"""Trio: receive, or not; nothing between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, items: int) -> int:
    """Return how many items were received."""
    send, receive = trio.open_memory_channel[int](items)
    got = 0

    async def get(scope: trio.CancelScope) -> None:
        nonlocal got
        with scope:
            await receive.receive()
            got += 1

    for item in range(items):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            nursery.start_soon(get, scope)
            await trio.testing.wait_all_tasks_blocked()
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
    return trio.run(run, core, items)
