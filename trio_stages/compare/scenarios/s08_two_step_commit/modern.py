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

    async def commit() -> None:
        await asyncio.to_thread(core.journal, job)
        await asyncio.to_thread(core.apply, job)

    commit_task = asyncio.create_task(commit())
    await asyncio.shield(commit_task)
