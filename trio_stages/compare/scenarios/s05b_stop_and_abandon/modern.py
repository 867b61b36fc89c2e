"""asyncio: abandoning is what happens, until `asyncio.run` ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Apply one job in a thread that nobody waits for once it is cancelled."""
    async with lock:
        await asyncio.to_thread(core.apply, job)
