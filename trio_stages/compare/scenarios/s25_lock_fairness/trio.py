"""Trio: first come, first served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def greedy(name: str, lock: trio.Lock, turns: int, order: list[str]) -> None:
    """Take the lock, and again."""
    for _ in range(turns):
        async with lock:
            order.append(name)
            await trio.lowlevel.checkpoint()


async def run(core: Core, turns: int, order: list[str]) -> None:
    """Two greedy tasks."""
    lock = trio.Lock()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(greedy, "one", lock, turns, order)
        nursery.start_soon(greedy, "other", lock, turns, order)


def main(core: Core, turns: int, order: list[str]) -> None:
    """The process."""
    trio.run(run, core, turns, order)
