"""Simulated work: time that passes, or CPU that is burnt, in a thread or in a task.

Two things hold for all of it:

1. A stop ends it early: a sleeping thread wakes up, a burning one looks up every millisecond, and
   either raises ``trio.Cancelled`` in its thread, before the job has had an effect.
2. Burning is measured in the thread's own CPU time. Sixteen threads that burn 10 ms each "by the
   clock" would seem to run in parallel; by CPU time they show that under the GIL they take turns.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING

import trio

from .signals import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Settings

LOOK_UP_S = 0.001

log = logging.getLogger(__name__)


def gil_enabled() -> bool:
    """Whether threads of this interpreter take turns: all but those of free-threaded builds."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Work:
    """The work of one stage's jobs.

    Args:
        settings: ``work`` says what it is made of.
    """

    def __init__(self, settings: Settings) -> None:
        self._burns = settings.work == "cpu"
        self._stopping = threading.Event()
        if self._burns and settings.workers > 1:
            if settings.offload == "task":
                log.warning("--work cpu in tasks: jobs take turns, and freeze the event loop")
            elif gil_enabled():
                log.warning(
                    "--work cpu in threads: under the GIL they take turns, so %d workers are no "
                    "faster than one",
                    settings.workers,
                )

    async def wake_threads_on_cancel(self) -> None:
        """Wait to be cancelled, then wake all working threads; start it in the workers' nursery.

        Cancellation reaches a task at its next checkpoint, but a thread only when it looks.
        """
        try:
            await trio.sleep_forever()
        finally:
            self._stopping.set()

    def in_thread(self, duration_s: float) -> None:
        """Work in a thread started by ``trio.to_thread.run_sync``.

        Raises:
            trio.Cancelled: the task that waits for this thread has been cancelled.
        """
        if self._burns:
            burn(duration_s, self._stopping.is_set)
        elif duration_s:
            self._stopping.wait(duration_s)
        if self._stopping.is_set():
            trio.from_thread.check_cancelled()

    async def in_task(self, duration_s: float) -> None:
        """Work in a task; what burns CPU there burns the event loop's. No work, no checkpoint."""
        if self._burns:
            interruptible(burn, duration_s)
            await trio.lowlevel.checkpoint()
        elif duration_s:
            await trio.sleep(duration_s)


def burn(duration_s: float, stopping: Callable[[], bool] = bool) -> None:
    """Compute in pure Python until the thread has used ``duration_s`` of CPU.

    Args:
        duration_s: seconds of this thread's CPU time.
        stopping: asked once a millisecond whether to stop early.
    """
    end = time.thread_time() + duration_s
    while (left := end - time.thread_time()) > 0 and not stopping():
        pause = time.thread_time() + min(left, LOOK_UP_S)
        while time.thread_time() < pause:
            sum(range(50))
