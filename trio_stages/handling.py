"""How a worker takes a job into its hand and puts it down again, with the ledger told of both.

Rules:

1. A job leaves the channel and is taken in one step.
2. Whatever ends the work on a job, it has come to one of its ends.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import trio

from .jobs import IN_HAND, OUTSTANDING, Job, LedgerError

if TYPE_CHECKING:
    from types import TracebackType

    from .ledger import Ledger

# A job without any work takes some ten microseconds; a turn to itself would take as long again.
JOBS_A_TURN = 16
# Far more than the 256 that two turns without any work may bring (turns.py). From then on a worker
# comes forward in each turn, which brings three more than it takes at most.
BURST = 900

log = logging.getLogger(__name__)


class Taking:
    """``Ledger.taking``.

    Whoever takes jobs one after the other, and never waits at any, does so ``JOBS_A_TURN`` times
    before the others get a turn of the event loop.

    ``receive`` has a checkpoint behind the step that empties a place in the queue. A job taken only
    after it would still be queued when the next one is put into its place: one more than there are
    places. So the job leaves the channel and is taken in one step.

    Whoever waits at the channel is woken by a single job, and to wake a worker costs as much as a
    job without any work. So behind a queue with room for what a turn may bring, the idle workers
    stand in line: only the first of them waits at the channel, and when it has a job, the next one
    comes forward. A burst wakes as many as it needs, one a turn, and the queue holds it meanwhile.
    """

    __slots__ = ("_jobs", "_ledger", "_left", "_line")

    def __init__(self, ledger: Ledger, jobs: trio.MemoryReceiveChannel[Job]) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._left = 0
        channel = jobs.statistics()
        holds_a_burst = channel.max_buffer_size >= BURST + 3 * channel.open_receive_channels
        self._line = ledger.line if holds_a_burst else nullcontext()

    def __aiter__(self) -> Taking:
        return self

    async def __anext__(self) -> Job:
        if self._left:
            self._left -= 1
        else:
            await trio.lowlevel.checkpoint()
            self._left = JOBS_A_TURN
        try:
            try:
                job = self._jobs.receive_nowait()
            except trio.WouldBlock:
                async with self._line:
                    job = await self._first_in_line()
                self._left = JOBS_A_TURN
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        self._ledger.take(job)
        return job

    async def _first_in_line(self) -> Job:
        ledger, jobs = self._ledger, self._jobs
        with suppress(trio.WouldBlock):
            return jobs.receive_nowait()
        ledger.idle_workers += 1
        try:
            job = await jobs.receive()
        except BaseException:
            # A sender may have counted us off since, in vain; who still waits, the channel knows.
            ledger.idle_workers = jobs.statistics().tasks_waiting_receive
            raise
        # A job in hand: its sender has told the ledger so, and it has counted us off.
        if job.state is not IN_HAND:
            ledger.idle_workers -= 1
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
