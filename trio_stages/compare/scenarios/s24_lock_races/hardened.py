"""asyncio: the lock goes to the next in line who still wants it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core) -> list[str]:
    """One round; return who had the lock, in order."""
    order: list[str] = []
    lock = asyncio.Lock()

    async def waits(name: str) -> None:
        async with lock:
            order.append(name)

    async with lock:
        order.append("holder")
        second = asyncio.create_task(waits("second"))
        await asyncio.sleep(0)
        third = asyncio.create_task(waits("third"))
        await asyncio.sleep(0)
    second.cancel()  # the lock has just been released to it
    with suppress(asyncio.CancelledError):
        await second
    await asyncio.wait_for(third, 1.0)
    return order


def main(core: Core) -> list[str]:
    """One event loop."""
    return asyncio.run(run(core))
