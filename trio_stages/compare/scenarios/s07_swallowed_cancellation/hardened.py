"""asyncio: a cancellation is delivered once; the shell sends another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Wait for something that never comes; swallow whatever interrupts it."""
    with core.task("swallows") as lane:
        try:
            await asyncio.Event().wait()
        except BaseException:
            core.recorder.mark(lane, "swallowed")
