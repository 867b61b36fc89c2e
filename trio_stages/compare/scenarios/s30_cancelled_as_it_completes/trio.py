"""Trio: the scope stays cancelled, whatever completes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

if TYPE_CHECKING:
    from trio_stages.compare.core import Core

FAR_AWAY_S = 3600.0


async def work(result: trio.Event) -> None:
    """Wait for one result, and then for another, which never comes."""
    with trio.fail_after(FAR_AWAY_S):
        await result.wait()
    await trio.sleep_forever()


async def run(core: Core, patience_s: float) -> bool:
    """Return whether the worker ended."""
    result = trio.Event()
    with trio.move_on_after(patience_s) as patience:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, result)
            await trio.testing.wait_all_tasks_blocked()
            result.set()
            nursery.cancel_scope.cancel()
    return not patience.cancelled_caught


def main(core: Core, patience_s: float) -> bool:
    """The process."""
    return trio.run(run, core, patience_s)
