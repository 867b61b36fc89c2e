"""Timed locks for threads: a mutex, and a reader-writer lock that starves nobody.

Which to choose: the mutex, unless many threads read for long and few write. A reader-writer lock
takes a microsecond more to pass, and where every job writes, as in these stages, it is a mutex with
more work.

A thread that waits for a lock cannot be cancelled. A task that waits in ``trio.to_thread.run_sync``
for such a thread does not end before the thread has had its turn: with 16 workers behind one lock
that is up to 16 holds. So hold it shortly, and once inside look
(``trio.from_thread.check_cancelled()``) before doing what cannot be undone. For the same reason
never take one of these in the Trio thread while another thread may hold it for longer than the
event loop may stand still.

Neither is re-entrant: a thread that asks for a lock that it has waits for itself, for ever. That
goes for reading twice, too, as soon as a writer waits in between.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from .times import Acquisition, LockTimes, LockTotals, Meter, SharedMeter
from .turnstile import Ticket, Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TimedThreadLock:
    """A ``threading.Lock`` with a clock: one at a time, reading or writing.

    The order in which waiting threads get it is the operating system's choice.

    Args:
        times: where every acquisition is counted.
        clock: seconds.
    """

    def __init__(self, times: LockTimes, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._lock = threading.Lock()
        self._meter = Meter(times)
        self._clock = clock

    @contextmanager
    def write(self) -> Iterator[Acquisition]:
        """Hold the lock for the ``with`` block; waits like ``Lock.acquire``, see above.

        Returns:
            The wait, and once the block has ended, also by an exception, the hold.
        """
        acquisition = Acquisition(self._meter, self._clock)
        with self._lock, acquisition:
            yield acquisition

    read = write

    @property
    def totals(self) -> LockTotals:
        """This lock's own sums."""
        return self._meter.totals


class TimedThreadRWLock:
    """A reader-writer lock with a clock: several readers at once, or one writer, in FIFO order.

    Args:
        times: where every acquisition is counted.
        clock: seconds.
    """

    def __init__(self, times: LockTimes, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._turnstile = Turnstile()
        self._turning = threading.Lock()  # keeps every call of the turnstile whole
        self._meter = SharedMeter(times)
        self._clock = clock

    def write(self) -> AbstractContextManager[Acquisition]:
        """Be alone inside for the ``with`` block; waits until then, see above.

        Returns:
            The wait, and once the block has ended, also by an exception, the hold.
        """
        return self._pass(writes=True)

    def read(self) -> AbstractContextManager[Acquisition]:
        """Share the inside with other readers for the ``with`` block; else like ``write``."""
        return self._pass(writes=False)

    @contextmanager
    def _pass(self, *, writes: bool) -> Iterator[Acquisition]:
        acquisition = Acquisition(self._meter, self._clock)
        gate = threading.Lock()  # shut now, opened once, by whoever lets this thread in
        gate.acquire()
        ticket = Ticket(writes, gate.release)
        with self._turning:
            self._turnstile.arrive(ticket)
        try:
            gate.acquire()
            with acquisition:
                yield acquisition
        finally:  # also when a signal's handler raised at the gate, as Ctrl-C does
            with self._turning:
                self._turnstile.leave(ticket)

    @property
    def totals(self) -> LockTotals:
        """This lock's own sums."""
        return self._meter.totals
