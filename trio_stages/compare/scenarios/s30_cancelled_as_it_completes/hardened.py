"""asyncio: timeout leaves the cancellation alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core

FAR_AWAY_S = 3600.0


async def work(result: asyncio.Event) -> None:
    """Wait for one result, and then for another, which never comes."""
    async with asyncio.timeout(FAR_AWAY_S):
        await result.wait()
    await asyncio.Event().wait()


async def run(core: Core, patience_s: float) -> bool:
    """Return whether the worker ended."""
    result = asyncio.Event()
    worker = asyncio.create_task(work(result))
    await asyncio.sleep(0)
    result.set()
    await asyncio.sleep(0)  # the result is there, and the worker about to notice
    worker.cancel()
    done, _ = await asyncio.wait([worker], timeout=patience_s)
    return worker in done


def main(core: Core, patience_s: float) -> bool:
    """The process."""
    return asyncio.run(run(core, patience_s))
