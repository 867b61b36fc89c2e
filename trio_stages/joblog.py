"""What the workers say of their locks: sampled lines, averages every 50 jobs, and a throughput.

Logging each job would cost more than the lock it measures, so a line is written for one job in
``EVERY`` and the averages are taken over all of them, neither more often than anybody can read.
"""

from __future__ import annotations

import logging
import math
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from trio_util import periodic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .jobs import Job
    from .ledger import Ledger
    from .state import GuardStatistics

EVERY = 10
AVERAGE_OVER_JOBS = 50
# At 100 jobs/s (stage 7) a line comes after 0.1 s and an average after 0.5 s; a hundred times that
# rate shall not be a hundred times as many lines.
LINE_PERIOD_S, AVERAGE_PERIOD_S = 0.05, 0.25
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
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._jobs = 0
        self._next_line_s = self._next_average_s = -math.inf
        self._averaged_jobs = 0  # up to here
        self._wait_s = 0.0
        self._hold_s = 0.0

    def job(self, worker: int, job: Job, balance: int, acquired: Acquired) -> None:
        """Note one processed job: which worker, the new balance, how long it waited and held."""
        wait_s, hold_s = acquired.wait_s, acquired.hold_s
        with self._lock:
            self._jobs = jobs = self._jobs + 1
            self._wait_s += wait_s
            self._hold_s += hold_s
            if jobs % EVERY > 1:
                return
            line = self._line_due() if jobs % EVERY == 1 else False
            averages = self._averages() if jobs % AVERAGE_OVER_JOBS == 0 else None
        if line:
            log.info(
                "[Worker %2d] user=%s, balance=%d, wait=%.2fms, hold=%.2fms",
                worker,
                job.event.user,
                balance,
                wait_s * 1000,
                hold_s * 1000,
            )
        if averages:
            log.info("[%d jobs] average of the last %d: wait=%.2fms, hold=%.2fms", jobs, *averages)

    # With the lock held

    def _line_due(self) -> bool:
        now_s = self._ledger.clock()
        due = now_s >= self._next_line_s
        if due:
            self._next_line_s = now_s + LINE_PERIOD_S
        return due

    def _averages(self) -> tuple[int, float, float] | None:
        """Over how many jobs, and their average wait and hold in milliseconds, if it is time."""
        now_s = self._ledger.clock()
        if now_s < self._next_average_s:
            return None
        self._next_average_s = now_s + AVERAGE_PERIOD_S
        over = self._jobs - self._averaged_jobs
        averages = (over, self._wait_s / over * 1000, self._hold_s / over * 1000)
        self._averaged_jobs = self._jobs
        self._wait_s = self._hold_s = 0.0
        return averages

    async def report_throughput(self) -> None:
        """Log the jobs per second every two seconds in which there were any, until cancelled."""
        before = 0
        async with aclosing(periodic(THROUGHPUT_PERIOD_S)) as ticks:
            async for _, elapsed_s in ticks:
                processed = self._ledger.statistics().processed
                if elapsed_s and processed > before:
                    log.info("throughput: %.1f jobs/s", (processed - before) / elapsed_s)
                before = processed

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
