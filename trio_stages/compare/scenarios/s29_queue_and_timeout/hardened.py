"""asyncio: a timeout around get."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, items: int) -> int:
    """Return how many items were received."""
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue[int]()
    arrived = asyncio.Event()
    got = 0

    def put(item: int) -> None:
        queue.put_nowait(item)
        arrived.set()

    for item in range(items):
        deadline_s = loop.time() + 0.001
        # Timers of one moment run in one turn of the loop; every other time the item comes first.
        loop.call_at(deadline_s + (1e-9 if item % 2 else -1e-9), put, item)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline_s):
                await queue.get()
                got += 1
        await arrived.wait()
        arrived.clear()
    return got + queue.qsize()


def main(core: Core, items: int) -> int:
    """The process."""
    return asyncio.run(run(core, items))
