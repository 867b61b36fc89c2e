"""Timed locks for Trio tasks: a mutex, and a reader-writer lock that starves nobody.

Both are FIFO: the lock goes from the one who leaves straight to the one who has waited longest.
Waiting can be cancelled: then the lock is as if nobody had asked, and nothing is counted. Getting a
mutex that is free is no checkpoint: a worker may do many short jobs in one turn of the loop.

Reader-writer locks are often made of mutexes, the first reader locking out the writers and the last
one letting them in again. A ``trio.Lock`` must be released by the task that took it, so it cannot
serve for that; here every task waits for an event of its own.

Neither is re-entrant: a task that asks for a lock that it has waits for itself, for ever.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from .times import Acquisition, LockTimes, LockTotals, Meter
from .turnstile import Ticket, Turnstile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class TimedTaskLock:
    """A mutex with Trio's clock: one at a time, reading or writing.

    A ``trio.Lock`` in all but its errors: it hands over in the same order, in the same way. That
    one notes which task has it, for those who release what they never took, which nobody can who
    has to leave a block; for jobs without any work the notes were a tenth of a job.

    Args:
        times: where every acquisition is counted.
    """

    __slots__ = ("held", "line", "meter")

    def __init__(self, times: LockTimes) -> None:
        self.held = False
        self.line = trio.lowlevel.ParkingLot()
        self.meter = Meter(times)

    def write(self) -> AbstractAsyncContextManager[Acquisition]:
        """Hold the lock for the ``async with`` block.

        Returns:
            The wait, and once the block has ended, also by an exception, the hold.
        """
        return _Passage(self)

    read = write

    @property
    def totals(self) -> LockTotals:
        """This lock's own sums."""
        return self.meter.totals


class _Passage(Acquisition):
    """Through a mutex; a class, for a generator would cost two microseconds more each time."""

    __slots__ = ("_lock",)

    def __init__(self, lock: TimedTaskLock) -> None:
        self.wait_s = self.hold_s = 0.0
        self._lock = lock
        self._since_s = trio.current_time()

    async def __aenter__(self) -> Acquisition:
        lock = self._lock
        if lock.held:
            await lock.line.park()  # until it is handed over, held as it is
            now_s = trio.current_time()
            self.wait_s = now_s - self._since_s
            self._since_s = now_s
        else:
            lock.held = True
        return self

    async def __aexit__(self, *_: object) -> None:
        lock = self._lock
        self.hold_s = hold_s = trio.current_time() - self._since_s
        lock.meter.record(self.wait_s, hold_s)
        if lock.line:
            lock.line.unpark()
        else:
            lock.held = False


class TimedTaskRWLock:
    """A reader-writer lock with Trio's clock: several readers at once, or one writer.

    Args:
        times: where every acquisition is counted.
    """

    def __init__(self, times: LockTimes) -> None:
        self._turnstile = Turnstile()
        self._meter = Meter(times)

    def write(self) -> AbstractAsyncContextManager[Acquisition]:
        """Be alone inside for the ``async with`` block.

        Returns:
            The wait, and once the block has ended, also by an exception, the hold.
        """
        return self._pass(writes=True)

    def read(self) -> AbstractAsyncContextManager[Acquisition]:
        """Share the inside with other readers for the block; else like ``write``."""
        return self._pass(writes=False)

    @asynccontextmanager
    async def _pass(self, *, writes: bool) -> AsyncIterator[Acquisition]:
        acquisition = Acquisition(self._meter, trio.current_time)
        gate = trio.Event()
        ticket = Ticket(writes, gate.set)
        self._turnstile.arrive(ticket)
        try:
            await gate.wait()
            with acquisition:
                yield acquisition
        finally:  # also when the wait was cancelled
            self._turnstile.leave(ticket)

    @property
    def totals(self) -> LockTotals:
        """This lock's own sums."""
        return self._meter.totals
