"""Trio: the lock goes to the next in line who still wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core) -> list[str]:
    """One round; return who had the lock, in order."""
    order: list[str] = []
    lock = trio.Lock()
    second = trio.CancelScope()

    async def waits(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with lock:
                order.append(name)

    async with trio.open_nursery() as nursery:
        async with lock:
            order.append("holder")
            nursery.start_soon(waits, "second", second)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(waits, "third", trio.CancelScope())
            await trio.testing.wait_all_tasks_blocked()
        second.cancel()  # the lock has just been released to it
    return order


def main(core: Core) -> list[str]:
    """One event loop."""
    return trio.run(run, core)
