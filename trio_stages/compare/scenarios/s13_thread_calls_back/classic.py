"""asyncio: nobody tells the thread, and the loop runs what it hands in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core
    from trio_stages.compare.recorder import Traced
    from trio_stages.jobs import Job


async def process(
    core: Core,
    lock: Traced,
    job: Job,
    first_half: Callable[[], None],
    report: Callable[[], None],
) -> None:
    """Do half a job in a thread, report from there, do the other half."""
    loop = asyncio.get_running_loop()

    async def report_there() -> None:
        report()

    def work() -> None:
        first_half()
        asyncio.run_coroutine_threadsafe(report_there(), loop)
        core.recorder.mark("thread: job", "second half")

    await loop.run_in_executor(None, work)
