"""Trio: a thread can ask whether its task has been cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

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
        trio.from_thread.check_cancelled()  # raises Cancelled, in this thread
        trio.from_thread.run_sync(report)
        core.recorder.mark("thread: job", "second half")

    await trio.to_thread.run_sync(work)
