"""asyncio: cancelled once, it waits on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Wait for something that never comes, again and again, whatever interrupts it."""
    swallowed = 0
    with core.task("swallows"):
        while True:
            try:
                await asyncio.Event().wait()
            except BaseException:
                swallowed += 1
