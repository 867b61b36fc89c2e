"""What the log says of several locks, and when it stops looking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_stages.joblog import MOST_LOCKS, JobLog
from trio_stages.ledger import Ledger
from trio_stages.locks import LockTimes
from trio_stages.state.guards import GuardStatistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from trio.testing import MockClock


class Locks:
    """How often somebody has looked at them, and what was there to be seen."""

    def __init__(self, acquisitions: Sequence[int]) -> None:
        self.acquisitions = list(acquisitions)
        self.looks = 0

    def statistics(self) -> list[GuardStatistics]:
        self.looks += 1
        return [GuardStatistics(1, count, 0.25 * count, 0.0) for count in self.acquisitions]


async def test_jobs_of_no_lock_have_no_average(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """As for a moment of each job: applied, and its lock not yet left."""
    caplog.set_level("INFO", "trio_stages.joblog")
    ledger = Ledger()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(JobLog(ledger, LockTimes()).report_throughput)
        await trio.sleep(1)
        ledger.processed_at_once()
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert not caplog.records


async def test_the_hottest_is_named_while_there_are_jobs(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level("INFO", "trio_stages.joblog")
    locks = Locks([1, 3])
    with trio.move_on_after(9):
        await JobLog(Ledger(), LockTimes()).report_locks(locks.statistics)
    assert locks.looks == 5
    said = "locks: 2, the hottest has 1 users, 75 % of all acquisitions, and was waited for 0.75 s"
    assert [record.getMessage() for record in caplog.records] == [said]  # then nothing happened


async def test_too_many_are_not_looked_through(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level("INFO", "trio_stages.joblog")
    locks = Locks([0] * MOST_LOCKS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(JobLog(Ledger(), LockTimes()).report_locks, locks.statistics)
        await trio.sleep(3)
        locks.acquisitions.append(0)
        # and it returns: the nursery ends
    assert locks.looks == 3
    assert [record.getMessage() for record in caplog.records] == [
        "locks: 10001, too many to look for the hottest"
    ]


async def test_nobody_looks_for_a_log_that_nobody_reads(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level("WARNING", "trio_stages.joblog")
    locks = Locks([1])
    await JobLog(Ledger(), LockTimes()).report_locks(locks.statistics)
    assert locks.looks == 0
