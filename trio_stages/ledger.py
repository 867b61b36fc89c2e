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

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from .drain_rate import RATE_MEMORY_S, DrainRate
from .handling import Settling, Taking
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
    LedgerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "OUTSTANDING",
    "RATE_MEMORY_S",
    "Job",
    "JobState",
    "Ledger",
    "LedgerError",
    "LedgerStatistics",
]


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
    #: Workers that wait at the channel: whatever is sent goes straight to one of them.
    idle_workers: int = 0
    #: Where the other idle workers wait, if only one of them shall be there (``handling.Taking``).
    line: trio.Lock = field(default_factory=trio.Lock)
    #: Of the jobs in hand: those that went straight to a worker who has not woken up yet.
    handed_over: int = 0
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
                now_s = self.clock()
                self._queue(job, now_s)
                if handed_over:
                    self.idle_workers -= 1
                    self.handed_over += 1
                    self._hand(job, now_s)
            elif state is REJECTED:
                raise LedgerError("a job that is REJECTED cannot be accepted")

    def take(self, job: Job) -> None:
        """A worker has the job in hand (a no-op if it was handed over)."""
        with self._lock:
            state = job.state
            if state is IN_HAND:
                self.handed_over -= 1
                return
            now_s = self.clock()
            if state is WAITING:  # faster than its sender woke up
                self._queue(job, now_s)
            elif state is not QUEUED:
                raise LedgerError(f"a job that is {state.name} cannot be taken")
            self._hand(job, now_s)

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
            if counts.queued or job.backlog_s < self._backlog.before_s:
                self._backlog.completed(job.taken_at_s, job.backlog_s, self.clock())
            return balance

    def fail(self, job: Job) -> None:
        """The job raised, before its effect."""
        with self._lock:
            self._fail(job)

    def abandon(self, job: Job) -> None:
        """The job is dropped unprocessed, from the queue or from a worker's hand."""
        with self._lock:
            self._abandon(job)

    def put_down(self, job: Job, *, failed: bool = False) -> None:
        """The job is failed or abandoned, unless it has come to an end already."""
        with self._lock:
            if job.state not in ENDS:  # the seal, in another thread, may have been faster
                if failed:
                    self._fail(job)
                else:
                    self._abandon(job)

    def taking(self, jobs: trio.MemoryReceiveChannel[Job]) -> Taking:
        """Iterate over the channel like the channel itself, but with each job already taken."""
        return Taking(self, jobs)

    def settling(self, job: Job) -> Settling:
        """Whatever ends the ``with`` block, an accepted job is settled behind it.

        An exception makes it failed, is logged and goes no further, so that no job kills its
        worker; cancellation (or a stop) makes it abandoned and goes on.
        """
        return Settling(self, job)

    @contextmanager
    def dropping(self, jobs: trio.MemoryReceiveChannel[Job]) -> Iterator[None]:
        """Count, one by one, the jobs still in the channel when the block is left."""
        try:
            yield
        finally:
            with suppress(trio.WouldBlock, trio.EndOfChannel):
                while True:
                    job = jobs.receive_nowait()
                    self.handed_over -= job.state is IN_HAND  # but its worker had been cancelled
                    self.put_down(job)

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

    def worked_on(self) -> int:
        """Jobs in the hand of a worker who is awake to them."""
        return self._counts.in_hand - self.handed_over

    # Steps, with the lock held

    def _move(self, job: Job, to: JobState, *allowed: JobState) -> None:
        if job.state not in allowed:
            raise LedgerError(f"a job that is {job.state.name} cannot become {to.name}")
        job.state = to

    def _queue(self, job: Job, now_s: float) -> None:
        counts = self._counts
        if job.state is WAITING:
            counts.waiting -= 1
        counts.accepted += 1
        counts.queued += 1
        if counts.queued == 1:
            self._backlog.began(now_s)
        job.state = QUEUED
        job.accepted_at_s = now_s
        self._outstanding.add(job)

    def _hand(self, job: Job, now_s: float) -> None:
        counts = self._counts
        counts.queued -= 1
        counts.in_hand += 1
        if not counts.queued:
            self._backlog.ended(now_s)
        job.state = IN_HAND
        job.backlog_s = self._backlog.total_s(now_s)
        job.taken_at_s = now_s
        self.queue_delay.append(now_s - job.accepted_at_s)

    def _settle(self, job: Job, end: JobState) -> None:
        counts, before = self._counts, job.state
        self._move(job, end, *OUTSTANDING)
        self._outstanding.discard(job)
        if before is IN_HAND:
            counts.in_hand -= 1
            return
        counts.queued -= 1
        if not counts.queued:
            self._backlog.ended(self.clock())

    def _fail(self, job: Job) -> None:
        self._settle(job, FAILED)
        self._counts.failed += 1

    def _abandon(self, job: Job) -> None:
        if job.state in (NEW, WAITING):  # in the channel before its sender knew
            self._queue(job, self.clock())
        self._settle(job, ABANDONED)
        self._counts.abandoned += 1
