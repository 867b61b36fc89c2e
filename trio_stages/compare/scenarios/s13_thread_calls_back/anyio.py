"""anyio: a thread can ask whether its task has been cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.from_thread
import anyio.to_thread

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

    def work() -> None:
        first_half()
        anyio.from_thread.check_cancelled()
        anyio.from_thread.run_sync(report)
        core.recorder.mark("thread: job", "second half")

    await anyio.to_thread.run_sync(work)
