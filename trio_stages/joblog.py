"""What the workers say of their locks: lines of some jobs, and what all of them did in two seconds.

Logging each job would cost more than the lock it measures. So a line is written now and then, and
what is said of all jobs comes from the sums that the ledger and the lock times keep anyway; the
averages are over all acquisitions, those of ``GET /balances`` too.
"""

from __future__ import annotations

import logging
import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from trio_util import periodic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .jobs import Job
    from .ledger import Ledger
    from .locks import LockTimes
    from .state import GuardStatistics

# At the 100 jobs/s of stage 7 one job in ten, and however many there are, what can be read.
LINE_PERIOD_S = 0.1
THROUGHPUT_PERIOD_S = 2.0
# A look at ten thousand locks takes some ten milliseconds of the event loop's time.
MOST_LOCKS = 10_000

log = logging.getLogger(__name__)


class Acquired(Protocol):
    """The times of one acquisition, in seconds."""

    @property
    def wait_s(self) -> float: ...

    @property
    def hold_s(self) -> float: ...


class JobLog:
    """The log of one pool of workers; safe under threads.

    Args:
        ledger: whose ``processed`` is the throughput.
        times: of the workers' locks.
    """

    def __init__(self, ledger: Ledger, times: LockTimes) -> None:
        self._ledger = ledger
        self._times = times
        self._next_line_s = -math.inf

    def job(self, worker: int, job: Job, balance: int, acquired: Acquired) -> None:
        """Log one processed job, unless one that was taken just before it has been.

        Without a lock: two threads that come at the same time may both write their line.

        Args:
            worker: its number.
            job: processed.
            balance: the new one.
            acquired: how long the lock was waited for, and held.
        """
        if job.taken_at_s < self._next_line_s:
            return
        self._next_line_s = job.taken_at_s + LINE_PERIOD_S
        log.info(
            "[Worker %2d] user=%s, balance=%d, wait=%.2fms, hold=%.2fms",
            worker,
            job.event.user,
            balance,
            acquired.wait_s * 1000,
            acquired.hold_s * 1000,
        )

    async def report_throughput(self) -> None:
        """Log jobs/s, and average wait and hold, every two seconds with jobs, until cancelled.

        Returns at once where nobody would read it.
        """
        if not log.isEnabledFor(logging.INFO):
            return
        processed, lock = 0, self._times.statistics()
        async with aclosing(periodic(THROUGHPUT_PERIOD_S)) as ticks:
            async for _, elapsed_s in ticks:
                before, processed = processed, self._ledger.statistics().processed
                lock_before, lock = lock, self._times.statistics()
                over = lock.acquisitions - lock_before.acquisitions
                if elapsed_s and processed > before and over:  # not yet, of a job just applied
                    log.info(
                        "throughput: %.1f jobs/s, on average wait=%.2fms, hold=%.2fms",
                        (processed - before) / elapsed_s,
                        (lock.wait.total - lock_before.wait.total) / over * 1000,
                        (lock.hold.total - lock_before.hold.total) / over * 1000,
                    )

    async def report_locks(self, statistics: Callable[[], Sequence[GuardStatistics]]) -> None:
        """Log which of several locks is the hottest, every two seconds with jobs, until cancelled.

        Returns earlier where nobody would read it, or as soon as there are too many locks to look
        through (``--state per-user`` makes one for every user there ever was).

        Args:
            statistics: of every lock of the map.
        """
        if not log.isEnabledFor(logging.INFO):
            return
        before = 0
        async with aclosing(periodic(THROUGHPUT_PERIOD_S)) as ticks:
            async for _ in ticks:
                guards = statistics()
                if len(guards) > MOST_LOCKS:
                    log.info("locks: %d, too many to look for the hottest", len(guards))
                    return
                acquisitions = sum(guard.acquisitions for guard in guards)
                if acquisitions > before:
                    hottest = max(guards, key=lambda guard: guard.acquisitions)
                    log.info(
                        "locks: %d, the hottest has %d users, %.0f %% of all acquisitions, "
                        "and was waited for %.2f s",
                        len(guards),
                        hottest.users,
                        100 * hottest.acquisitions / acquisitions,
                        hottest.wait_s,
                    )
                before = acquisitions
