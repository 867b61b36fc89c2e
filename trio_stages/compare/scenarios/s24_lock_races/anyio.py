"""anyio: the lock goes to the next in line who still wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core) -> list[str]:
    """One round; return who had the lock, in order."""
    order: list[str] = []
    lock = anyio.Lock()
    second = anyio.CancelScope()

    async def waits(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with lock:
                order.append(name)

    async with anyio.create_task_group() as group:
        async with lock:
            order.append("holder")
            group.start_soon(waits, "second", second)
            await anyio.lowlevel.checkpoint()
            group.start_soon(waits, "third", anyio.CancelScope())
            await anyio.lowlevel.checkpoint()
        second.cancel()  # the lock has just been released to it
    return order


def main(core: Core) -> list[str]:
    """One event loop."""
    return anyio.run(run, core)
