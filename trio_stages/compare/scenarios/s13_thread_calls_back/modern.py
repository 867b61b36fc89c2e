"""asyncio: a flag tells the thread what its task has been told."""

from __future__ import annotations

import asyncio
import threading
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
    cancelled = threading.Event()

    def work() -> None:
        first_half()
        if cancelled.is_set():
            return
        loop.call_soon_threadsafe(report)
        core.recorder.mark("thread: job", "second half")

    try:
        await asyncio.to_thread(work)
    except asyncio.CancelledError:
        cancelled.set()
        raise
