"""asyncio: shield around both steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Journal, then apply: both or none."""
    loop = asyncio.get_running_loop()

    async def commit() -> None:
        await loop.run_in_executor(None, core.journal, job)
        await loop.run_in_executor(None, core.apply, job)

    commit_task = asyncio.create_task(commit())
    await asyncio.shield(commit_task)
