"""How a worker takes a job into its hand and puts it down again, with the ledger told of both.

Rules:

1. A job leaves the channel and is taken in one step.
2. Whatever ends the work on a job, it has come to one of its ends.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .jobs import IN_HAND, OUTSTANDING, Job, LedgerError

if TYPE_CHECKING:
    from types import TracebackType

    from .ledger import Ledger

# A job without any work takes some ten microseconds; a turn to itself would take as long again.
JOBS_A_TURN = 16

log = logging.getLogger(__name__)


class Taking:
    """``Ledger.taking``.

    Whoever takes jobs one after the other, and never waits at any, does so ``JOBS_A_TURN`` times
    before the others get a turn of the event loop.

    ``receive`` has a checkpoint behind the step that empties a place in the queue. A job taken only
    after it would still be queued when the next one is put into its place: one more than there are
    places. So the job leaves the channel and is taken in one step.
    """

    __slots__ = ("_jobs", "_ledger", "_left")

    def __init__(self, ledger: Ledger, jobs: trio.MemoryReceiveChannel[Job]) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._left = 0

    def __aiter__(self) -> Taking:
        return self

    async def __anext__(self) -> Job:
        if self._left:
            self._left -= 1
        else:
            await trio.lowlevel.checkpoint()
            self._left = JOBS_A_TURN
        ledger, jobs = self._ledger, self._jobs
        job = None
        try:
            try:
                job = jobs.receive_nowait()
            except trio.WouldBlock:
                ledger.idle_workers += 1
                try:
                    job = await jobs.receive()
                finally:
                    # A job in hand: its sender has told the ledger so, and it has counted us off.
                    if job is None or job.state is not IN_HAND:
                        ledger.idle_workers -= 1
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        ledger.take(job)
        return job


class Settling:
    """``Ledger.settling``; a class, for a generator would cost a microsecond more for each job."""

    __slots__ = ("_job", "_ledger")

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self._ledger = ledger
        self._job = job

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        job, ledger = self._job, self._ledger
        if error is None:
            if job.state not in OUTSTANDING:
                return False
            error = LedgerError("the job was put down without having been applied")
        if not isinstance(error, Exception):
            ledger.put_down(job)
            return False
        user, amount = job.event.user, job.event.amount
        log.error("job failed: user=%r amount=%d", user, amount, exc_info=error)
        ledger.put_down(job, failed=True)
        return True
