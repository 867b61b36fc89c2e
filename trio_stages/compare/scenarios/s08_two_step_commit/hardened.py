"""asyncio: shield, and stay until it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.shells.hardened import in_thread, outlast

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Journal, then apply: both or none."""

    async def commit() -> None:
        await in_thread(core.journal, job)
        await in_thread(core.apply, job)

    await outlast(asyncio.create_task(commit()))
