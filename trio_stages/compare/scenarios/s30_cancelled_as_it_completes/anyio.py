"""anyio: the scope stays cancelled, whatever completes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from trio_stages.compare.core import Core

FAR_AWAY_S = 3600.0


async def work(result: anyio.Event) -> None:
    """Wait for one result, and then for another, which never comes."""
    with anyio.fail_after(FAR_AWAY_S):
        await result.wait()
    await anyio.sleep_forever()


async def run(core: Core, patience_s: float) -> bool:
    """Return whether the worker ended."""
    result = anyio.Event()
    with anyio.move_on_after(patience_s) as patience:
        async with anyio.create_task_group() as group:
            group.start_soon(work, result)
            await anyio.lowlevel.checkpoint()
            result.set()
            group.cancel_scope.cancel()
    return not patience.cancelled_caught


def main(core: Core, patience_s: float) -> bool:
    """The process."""
    return anyio.run(run, core, patience_s)
