"""anyio: first come, first served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def greedy(name: str, lock: anyio.Lock, turns: int, order: list[str]) -> None:
    """Take the lock, and again."""
    for _ in range(turns):
        async with lock:
            order.append(name)
            await anyio.lowlevel.checkpoint()


async def run(core: Core, turns: int, order: list[str]) -> None:
    """Two greedy tasks."""
    lock = anyio.Lock()
    async with anyio.create_task_group() as group:
        group.start_soon(greedy, "one", lock, turns, order)
        group.start_soon(greedy, "other", lock, turns, order)


def main(core: Core, turns: int, order: list[str]) -> None:
    """The process."""
    anyio.run(run, core, turns, order)
