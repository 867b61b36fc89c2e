"""Timed locks for Trio tasks: a mutex, and a reader-writer lock that starves nobody.

Both are FIFO: the lock goes from the one who leaves straight to the one who has waited longest.
Waiting can be cancelled: then the lock is as if nobody had asked, and nothing is counted. Getting a
mutex that is free is no checkpoint: a worker may do many short jobs in one turn of the loop.

Reader-writer locks are often made of mutexes, the first reader locking out the writers and the last
one letting them in again. A ``trio.Lock`` must be released by the task that took it, so it cannot
serve for that; here every task waits for an event of its own.

Neither is re-entrant. A ``trio.Lock`` says so (``RuntimeError``); a task that asks for a
reader-writer lock that it has waits for itself, for ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import trio

from .times import Acquisition, LockTimes, LockTotals, Meter
from .turnstile import Ticket, Turnstile


class Passage(Acquisition, ABC):
    """An acquisition for tasks: an ``async with`` block, or its three steps one by one.

    The steps are for those who have a block of their own, and need no second coroutine in it.
    """

    __slots__ = ()

    @abstractmethod
    def enter_nowait(self) -> bool:
        """Ask for the lock; whoever does not have it now shall ``wait`` at once."""

    @abstractmethod
    async def wait(self) -> None:
        """Wait for the lock; on cancellation it is as if nobody had asked."""

    @abstractmethod
    def leave(self) -> None:
        """Let the next one in."""

    async def __aenter__(self) -> Acquisition:
        if not self.enter_nowait():
            await self.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()


class TimedTaskLock:
    """A ``trio.Lock`` with Trio's clock: one at a time, reading or writing; made inside the run.

    Args:
        times: where every acquisition is counted.
    """

    __slots__ = ("clock", "lock", "meter")

    def __init__(self, times: LockTimes) -> None:
        self.clock = trio.lowlevel.current_clock().current_time
        self.lock = trio.Lock()
        self.meter = Meter(times)

    def write(self) -> Passage:
        """Hold the lock for the ``async with`` block.

        Returns:
            The wait, and once the block has ended, also by an exception, the hold.
        """
        return _Mutual(self)

    read = write

    @property
    def totals(self) -> LockTotals:
        """This lock's own sums."""
        return self.meter.totals


class _Mutual(Passage):
    __slots__ = ("_lock",)

    def __init__(self, lock: TimedTaskLock) -> None:
        self.wait_s = self.hold_s = 0.0
        self._lock = lock
        self._since_s = lock.clock()

    def enter_nowait(self) -> bool:
        try:
            self._lock.lock.acquire_nowait()  # and the wait is 0
        except trio.WouldBlock:
            return False
        return True

    async def wait(self) -> None:
        lock = self._lock
        await lock.lock.acquire()
        now_s = lock.clock()
        self.wait_s = now_s - self._since_s
        self._since_s = now_s

    def leave(self) -> None:
        lock = self._lock
        self.hold_s = hold_s = lock.clock() - self._since_s
        lock.meter.record(self.wait_s, hold_s)
        lock.lock.release()


class TimedTaskRWLock:
    """A reader-writer lock with Trio's clock: several readers at once, or one writer.

    Args:
        times: where every acquisition is counted.
    """

    __slots__ = ("meter", "turnstile")

    def __init__(self, times: LockTimes) -> None:
        self.turnstile = Turnstile()
        self.meter = Meter(times)

    def write(self) -> Passage:
        """Be alone inside for the ``async with`` block.

        Returns:
            The wait, and once the block has ended, also by an exception, the hold.
        """
        return _Ticketed(self, writes=True)

    def read(self) -> Passage:
        """Share the inside with other readers for the block; else like ``write``."""
        return _Ticketed(self, writes=False)

    @property
    def totals(self) -> LockTotals:
        """This lock's own sums."""
        return self.meter.totals


class _Ticketed(Passage):
    __slots__ = ("_gate", "_ticket", "_turnstile")

    def __init__(self, lock: TimedTaskRWLock, *, writes: bool) -> None:
        super().__init__(lock.meter, trio.current_time)
        self._turnstile = lock.turnstile
        self._gate = trio.Event()
        self._ticket = Ticket(writes, self._gate.set)

    def enter_nowait(self) -> bool:
        self._turnstile.arrive(self._ticket)
        return False  # waiting at an open gate is a checkpoint all the same

    async def wait(self) -> None:
        try:
            await self._gate.wait()
        except BaseException:
            self._turnstile.leave(self._ticket)
            raise
        self.__enter__()

    def leave(self) -> None:
        self.__exit__()
        self._turnstile.leave(self._ticket)
