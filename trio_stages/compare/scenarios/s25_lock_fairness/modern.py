"""asyncio: first come, first served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def greedy(name: str, lock: asyncio.Lock, turns: int, order: list[str]) -> None:
    """Take the lock, and again."""
    for _ in range(turns):
        async with lock:
            order.append(name)
            await asyncio.sleep(0)


async def run(core: Core, turns: int, order: list[str]) -> None:
    """Two greedy tasks."""
    lock = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(greedy("one", lock, turns, order))
        group.create_task(greedy("other", lock, turns, order))


def main(core: Core, turns: int, order: list[str]) -> None:
    """The process."""
    asyncio.run(run(core, turns, order))
