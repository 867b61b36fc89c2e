"""The ledger: what became of every event, to the last one, at every instant.

Rules:

1. ``received = accepted + rejected + invalid`` and
   ``accepted = processed + failed + queued + in_hand + abandoned``, in every snapshot.
2. A job moves forward only, NEW → (WAITING) → QUEUED → IN_HAND → one of the three ends, and each
   move changes its counters in the same step. So no job is applied twice, or lost unseen.
3. A job's effect on the balances and its count are one step; once the ledger is sealed there is
   no such step any more.

Why one ``threading.Lock`` around each step: workers finish jobs in threads, and ``+=`` on an
attribute is not atomic, neither by the language nor on a free-threaded build. The lock is held for
about a microsecond, a few thousandth parts of the shortest job, so it is not the hot lock of
stage 7: at a million steps a second it would become one (stage 9 is about that).
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from .drain_rate import RATE_MEMORY_S, DrainRate
from .histogram import Histogram
from .jobs import (
    ABANDONED,
    ENDS,
    FAILED,
    IN_HAND,
    NEW,
    OUTSTANDING,
    PROCESSED,
    QUEUED,
    REJECTED,
    WAITING,
    Job,
    JobState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

__all__ = [
    "OUTSTANDING",
    "RATE_MEMORY_S",
    "Job",
    "JobState",
    "Ledger",
    "LedgerError",
    "LedgerStatistics",
]

# A job without any work takes some ten microseconds; a turn to itself would take as long again.
JOBS_A_TURN = 16

log = logging.getLogger(__name__)


class LedgerError(RuntimeError):
    """A move that rule 2 or 3 forbids: the job is not where the caller believes it to be."""


@dataclass(frozen=True, slots=True)
class LedgerStatistics:
    """The counters at one instant; rule 1 holds in each of these."""

    received: int
    accepted: int
    rejected: int
    invalid: int
    http_errors: int
    processed: int
    failed: int
    abandoned: int
    queued: int
    waiting: int
    in_hand: int
    processed_amount: int


@dataclass(slots=True)
class _Counts:
    rejected: int = 0
    invalid: int = 0
    http_errors: int = 0
    accepted: int = 0
    waiting: int = 0
    queued: int = 0
    in_hand: int = 0
    processed: int = 0
    failed: int = 0
    abandoned: int = 0
    processed_amount: int = 0


@dataclass(slots=True, eq=False)
class Ledger:
    """The books of one server.

    Args:
        clock: seconds; any monotonic clock that may be read from every thread that settles jobs
            (``trio.current_time`` where all of them are tasks, as in virtual time).
    """

    clock: Callable[[], float] = time.perf_counter
    queue_delay: Histogram = field(default_factory=Histogram)
    #: Workers that wait in ``taking``: whatever is sent goes straight to one of them.
    idle_workers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counts: _Counts = field(default_factory=_Counts)
    _backlog: DrainRate = field(default_factory=DrainRate)
    _outstanding: set[Job] = field(default_factory=set)
    _sealed: bool = False

    # What is answered at once

    def http_error(self) -> None:
        """Count a reply or a close for something that was no event at all."""
        with self._lock:
            self._counts.http_errors += 1

    def invalid(self) -> None:
        """Count a body that is no event."""
        with self._lock:
            self._counts.invalid += 1

    def processed_at_once(self) -> None:
        """Count an event that is accepted and done with in one step."""
        with self._lock:
            self._counts.accepted += 1
            self._counts.processed += 1

    # A job's way

    def wait(self, job: Job) -> None:
        """The job waits for a place in the queue; it is not received before its outcome."""
        with self._lock:
            self._move(job, WAITING, NEW)
            self._counts.waiting += 1

    def reject(self, job: Job) -> None:
        """The job gets no place."""
        with self._lock:
            was_waiting = job.state is WAITING
            self._move(job, REJECTED, NEW, WAITING)
            self._counts.waiting -= was_waiting
            self._counts.rejected += 1

    def accept(self, job: Job, *, handed_over: bool = False) -> None:
        """The job is ours.

        A sender that waited learns of its success a moment after a worker may have taken the job;
        then there is nothing left to do here.

        Args:
            job: new or waiting.
            handed_over: the channel gave it straight to one of the ``idle_workers``.

        Raises:
            LedgerError: it has been rejected, and its client told so.
        """
        with self._lock:
            state = job.state
            if state is NEW or state is WAITING:
                self._enter(job)
                if handed_over:
                    self.idle_workers -= 1
                    self._take(job)
            elif state is REJECTED:
                raise LedgerError("a job that is REJECTED cannot be accepted")

    def take(self, job: Job) -> None:
        """A worker has the job in hand (a no-op if it was handed over)."""
        with self._lock:
            if job.state is WAITING:  # faster than its sender woke up
                self._enter(job)
            if job.state is not IN_HAND:
                self._take(job)

    def apply(self, job: Job, effect: Callable[[int], int]) -> int:
        """Apply the job and count it, in one step.

        Args:
            job: in hand.
            effect: given the amount, changes the balance and returns the new one; it must not wait.

        Returns:
            What ``effect`` returns.

        Raises:
            LedgerError: the job has been given up meanwhile; the effect did not happen.
        """
        with self._lock:
            if self._sealed:
                raise LedgerError("the ledger is sealed: nothing is applied any more")
            if job.state is not IN_HAND:
                raise LedgerError(f"a job that is {job.state.name} cannot be applied")
            amount = job.event.amount
            balance = effect(amount)
            job.state = PROCESSED
            self._outstanding.discard(job)
            counts = self._counts
            counts.in_hand -= 1
            counts.processed += 1
            counts.processed_amount += amount
            if counts.queued:
                self._backlog.completed(self.clock())
            return balance

    def fail(self, job: Job) -> None:
        """The job raised, before its effect."""
        with self._lock:
            self._fail(job)

    def abandon(self, job: Job) -> None:
        """The job is dropped unprocessed, from the queue or from a worker's hand."""
        with self._lock:
            self._abandon(job)

    def taking(self, jobs: trio.MemoryReceiveChannel[Job]) -> _Taking:
        """Iterate over the channel like the channel itself, but with each job already taken."""
        return _Taking(self, jobs)

    def settling(self, job: Job) -> _Settling:
        """Whatever ends the ``with`` block, an accepted job is settled behind it.

        An exception makes it failed, is logged and goes no further, so that no job kills its
        worker; cancellation (or a stop) makes it abandoned and goes on.
        """
        return _Settling(self, job)

    @contextmanager
    def dropping(self, jobs: trio.MemoryReceiveChannel[Job]) -> Iterator[None]:
        """Count, one by one, the jobs still in the channel when the block is left."""
        try:
            yield
        finally:
            with suppress(trio.WouldBlock, trio.EndOfChannel):
                while True:
                    self._put_down(jobs.receive_nowait(), self._abandon)

    def seal(self) -> int:
        """Give up whatever is outstanding: from here on nothing is applied.

        For the last moment of a process whose threads do not return.

        Returns:
            How many jobs were given up; 0 after an orderly stop.
        """
        with self._lock:
            self._sealed = True
            given_up = list(self._outstanding)
            for job in given_up:
                self._abandon(job)
            return len(given_up)

    # Reading

    def statistics(self) -> LedgerStatistics:
        """All counters at one instant."""
        with self._lock:
            c = self._counts
            return LedgerStatistics(
                received=c.accepted + c.rejected + c.invalid,
                accepted=c.accepted,
                rejected=c.rejected,
                invalid=c.invalid,
                http_errors=c.http_errors,
                processed=c.processed,
                failed=c.failed,
                abandoned=c.abandoned,
                queued=c.queued,
                waiting=c.waiting,
                in_hand=c.in_hand,
                processed_amount=c.processed_amount,
            )

    def drain_rate_per_s(self) -> float | None:
        """Jobs per second, measured while there was a backlog; None before there was one."""
        with self._lock:
            return self._backlog.per_s()

    @property
    def queued(self) -> int:
        """Jobs accepted and in nobody's hand."""
        return self._counts.queued

    def in_hand(self) -> int:
        """Jobs being worked on."""
        return self._counts.in_hand

    def _put_down(self, job: Job, settle: Callable[[Job], None]) -> None:
        with self._lock:
            if job.state not in ENDS:  # the seal, in another thread, may have been faster
                settle(job)

    # Steps, with the lock held

    def _move(self, job: Job, to: JobState, *allowed: JobState) -> None:
        if job.state not in allowed:
            raise LedgerError(f"a job that is {job.state.name} cannot become {to.name}")
        job.state = to

    def _enter(self, job: Job) -> None:
        counts = self._counts
        counts.waiting -= job.state is WAITING
        job.state = QUEUED
        job.accepted_at_s = now_s = self.clock()
        counts.accepted += 1
        counts.queued += 1
        self._outstanding.add(job)
        if counts.queued == 1:
            self._backlog.began(now_s)

    def _take(self, job: Job) -> None:
        if job.state is not QUEUED:
            raise LedgerError(f"a job that is {job.state.name} cannot be taken")
        job.state = IN_HAND
        now_s = self.clock()
        counts = self._counts
        counts.queued -= 1
        counts.in_hand += 1
        self.queue_delay.record(now_s - job.accepted_at_s)
        if not counts.queued:
            self._backlog.ended(now_s)

    def _settle(self, job: Job, end: JobState) -> None:
        counts, before = self._counts, job.state
        self._move(job, end, *OUTSTANDING)
        self._outstanding.discard(job)
        if before is IN_HAND:
            counts.in_hand -= 1
            return
        counts.queued -= 1
        if not counts.queued:
            self._backlog.broken_off()

    def _fail(self, job: Job) -> None:
        self._settle(job, FAILED)
        self._counts.failed += 1

    def _abandon(self, job: Job) -> None:
        if job.state in (NEW, WAITING):  # in the channel before its sender knew
            self._enter(job)
        self._settle(job, ABANDONED)
        self._counts.abandoned += 1


class _Taking:
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

    def __aiter__(self) -> _Taking:
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
                job = await self._from_the_hand_of_its_sender()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        self._ledger.take(job)
        return job

    async def _from_the_hand_of_its_sender(self) -> Job:
        ledger = self._ledger
        ledger.idle_workers += 1
        job = None
        try:
            job = await self._jobs.receive()
        finally:
            # A job in hand: its sender has told the ledger so, and it has counted us off.
            if job is None or job.state is not IN_HAND:
                ledger.idle_workers -= 1
        return job


class _Settling:
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
            ledger._put_down(job, ledger._abandon)
            return False
        user, amount = job.event.user, job.event.amount
        log.error("job failed: user=%r amount=%d", user, amount, exc_info=error)
        ledger._put_down(job, ledger._fail)
        return True
