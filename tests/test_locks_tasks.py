"""Timed locks for tasks, in exact virtual time."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trio_stages.histogram import HistogramStatistics
from trio_stages.locks import (
    Acquisition,
    LockTimes,
    LockTotals,
    TimedTaskLock,
    TimedTaskRWLock,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

TaskLock = TimedTaskLock | TimedTaskRWLock
Way = tuple[type[TaskLock], str]

EXCLUSIVE = [(TimedTaskLock, "write"), (TimedTaskLock, "read"), (TimedTaskRWLock, "write")]
ALL_WAYS = [*EXCLUSIVE, (TimedTaskRWLock, "read")]


def passage(lock: TaskLock, way: str) -> Callable[[], AbstractAsyncContextManager[Acquisition]]:
    return lock.write if way == "write" else lock.read


async def hold(lock: TaskLock, way: str, duration_s: float) -> None:
    async with passage(lock, way)():
        await trio.sleep(duration_s)


async def ten_holds(lock: TaskLock, way: str) -> float:
    """Ten tasks that want to hold it for half a second each; returns how long it took."""
    start_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(hold, lock, way, 0.5)
    return trio.current_time() - start_s


@pytest.mark.parametrize(("kind", "way"), EXCLUSIVE)
async def test_ten_holds_of_half_a_second_take_five(
    kind: type[TaskLock], way: str, autojump_clock: trio.testing.MockClock
) -> None:
    times = LockTimes()
    lock = kind(times)
    assert await ten_holds(lock, way) == 5.0
    statistics = times.statistics()
    assert statistics.acquisitions == statistics.wait.count == 10
    assert (statistics.wait.total, statistics.wait.max) == (22.5, 4.5)  # 0 + 0.5 + … + 4.5
    assert statistics.hold == HistogramStatistics(10, 5.0, 0.5, 0.5, 0.5)
    assert lock.totals == LockTotals(10, 22.5, 5.0)


async def test_ten_readers_hold_it_together(autojump_clock: trio.testing.MockClock) -> None:
    times = LockTimes()
    lock = TimedTaskRWLock(times)
    assert await ten_holds(lock, "read") == 0.5
    assert lock.totals == LockTotals(10, 0.0, 5.0)


async def test_who_waits_gets_in_in_the_order_of_arrival(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Phases of a second each: W, RR, W, R, W: no stream of either kind starves the other."""
    lock = TimedTaskRWLock(LockTimes())
    entered: list[tuple[str, float]] = []

    async def pass_through(name: str) -> None:
        async with passage(lock, "write" if name.startswith("w") else "read")():
            entered.append((name, trio.current_time()))
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for name in ("w1", "r1", "r2", "w2", "r3", "w3"):
            nursery.start_soon(pass_through, name)
            await trio.testing.wait_all_tasks_blocked()
    order = [(name, at_s) for name, at_s in entered if name not in ("r1", "r2")]
    assert order == [("w1", 0.0), ("w2", 2.0), ("r3", 3.0), ("w3", 4.0)]
    assert sorted(entered[1:3]) == [("r1", 1.0), ("r2", 1.0)]


async def test_a_stream_of_readers_does_not_starve_a_writer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A reader every 0.5 s that stays for 1 s: without a queue the room would never be empty."""
    lock = TimedTaskRWLock(LockTimes())

    async def stream() -> None:
        async with trio.open_nursery() as readers:
            while True:
                readers.start_soon(hold, lock, "read", 1.0)
                await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream)
        await trio.sleep(2.25)
        with trio.fail_after(9):
            async with lock.write() as acquisition:
                # the last one of those before it came at 2.0 and stays until 3.0
                assert acquisition.wait_s == 0.75
        nursery.cancel_scope.cancel()


async def test_a_stream_of_writers_does_not_starve_a_reader(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lock = TimedTaskRWLock(LockTimes())

    async def stream() -> None:
        while True:
            await hold(lock, "write", 1.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream)
        nursery.start_soon(stream)
        await trio.sleep(2.5)
        with trio.fail_after(9):
            async with lock.read() as acquisition:
                # one writer is inside until 3.0, and the one that came before it until 4.0
                assert acquisition.wait_s == 1.5
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("kind", "way"), ALL_WAYS)
async def test_the_hold_is_known_and_counted_when_the_body_raised(
    kind: type[TaskLock], way: str, autojump_clock: trio.testing.MockClock
) -> None:
    lock = kind(LockTimes())
    held: list[Acquisition] = []

    async def fail_inside() -> None:
        async with passage(lock, way)() as acquisition:
            held.append(acquisition)
            await trio.sleep(0.25)
            assert acquisition.hold_s == 0.0
            raise LookupError

    with pytest.raises(LookupError):
        await fail_inside()
    (acquisition,) = held
    assert (acquisition.wait_s, acquisition.hold_s) == (0.0, 0.25)
    assert lock.totals == LockTotals(1, 0.0, 0.25)
    await assert_free(lock)


@pytest.mark.parametrize(("kind", "way"), ALL_WAYS)
async def test_the_hold_is_counted_when_the_body_was_cancelled(
    kind: type[TaskLock], way: str, autojump_clock: trio.testing.MockClock
) -> None:
    lock = kind(LockTimes())
    with trio.move_on_after(0.5):
        await hold(lock, way, 9)
    assert lock.totals == LockTotals(1, 0.0, 0.5)
    await assert_free(lock)


async def assert_free(lock: TaskLock) -> None:
    """Nobody is inside, and nobody is in the way."""
    with trio.fail_after(0.001):
        async with lock.write() as acquisition:
            assert acquisition.wait_s == 0.0


@pytest.mark.parametrize(("kind", "way"), ALL_WAYS)
async def test_who_is_cancelled_while_waiting_leaves_no_trace(
    kind: type[TaskLock], way: str, autojump_clock: trio.testing.MockClock
) -> None:
    times = LockTimes()
    lock = kind(times)
    async with trio.open_nursery() as nursery, lock.write():
        nursery.start_soon(hold, lock, way, 1.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert lock.totals.acquisitions == times.statistics().acquisitions == 1  # the outer one
    await assert_free(lock)


async def test_who_is_cancelled_already_does_not_get_a_lock_that_it_has_to_wait_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lock = TimedTaskLock(LockTimes())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, lock, "write", 1.0)
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            async with lock.write():
                pytest.fail("waiting for a lock is a checkpoint")
    assert lock.totals.acquisitions == 1
    await assert_free(lock)


async def test_a_free_mutex_is_no_checkpoint() -> None:
    lock = TimedTaskLock(LockTimes())
    with trio.CancelScope() as scope:
        scope.cancel()
        async with lock.write() as acquisition:
            pass
        assert acquisition.wait_s == 0
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert lock.totals.acquisitions == 1


@pytest.mark.parametrize(("kind", "way"), ALL_WAYS)
async def test_who_is_cancelled_just_after_being_let_in_lets_go_again(
    kind: type[TaskLock], way: str, autojump_clock: trio.testing.MockClock
) -> None:
    lock = kind(LockTimes())
    entered = False

    async def enter() -> None:
        nonlocal entered
        async with passage(lock, way)():
            entered = True
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        async with lock.write():
            nursery.start_soon(enter)
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()  # the place is handed over, and its owner has not yet run
    assert entered
    assert lock.totals == LockTotals(2, 0.0, 0.0)
    await assert_free(lock)


async def test_a_cancelled_writer_no_longer_holds_up_the_readers_behind_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lock = TimedTaskRWLock(LockTimes())
    gave_up = trio.CancelScope()

    async def write() -> None:
        with gave_up:
            await hold(lock, "write", 1.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, lock, "read", 5.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(hold, lock, "read", 5.0)
        await trio.sleep(2)
        gave_up.cancel()
    assert trio.current_time() == 7.0
    assert lock.totals == LockTotals(2, 2.0, 10.0)


@pytest.mark.parametrize("kind", [TimedTaskLock, TimedTaskRWLock])
@pytest.mark.parametrize("seed", range(20))
async def test_random_cancellation_leaves_the_lock_working(
    kind: type[TaskLock], seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    chance = random.Random(seed)
    lock = kind(LockTimes())
    readers = writers = entered = 0

    async def come_and_go(way: str, start_s: float, patience_s: float, hold_s: float) -> None:
        nonlocal readers, writers, entered
        await trio.sleep(start_s)
        with trio.move_on_after(patience_s) if patience_s else nullcontext():
            async with passage(lock, way)():
                entered += 1
                writers += way == "write"
                readers += way == "read"
                assert writers <= 1
                assert not (readers and writers)
                try:
                    await trio.sleep(hold_s)
                finally:
                    writers -= way == "write"
                    readers -= way == "read"

    with trio.fail_after(99):
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(
                    come_and_go,
                    chance.choice(["write", "read"]),
                    chance.randrange(80) / 8,  # they come within ten seconds,
                    chance.randrange(8) / 4,  # have two seconds' patience at most, or without end,
                    chance.randrange(8) / 4,  # and would stay for 35 s if they all stayed in turn
                )
    assert lock.totals.acquisitions == entered
    assert 5 < entered < 40  # some got in, some gave up
    await assert_free(lock)


class Untimed:
    """A ``trio.Lock`` that is asked like ours."""

    def __init__(self) -> None:
        self.lock = trio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[None]:
        async with self.lock:
            yield


@pytest.mark.parametrize("seed", range(20))
async def test_a_mutex_lets_in_whom_a_trio_lock_would(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    """Who, when, and who gives up; also where a hold and somebody's patience end together."""

    async def comings_and_goings(lock: Untimed | TimedTaskLock) -> list[tuple[str, int, float]]:
        chance = random.Random(seed)
        begin_s = trio.current_time()
        seen: list[tuple[str, int, float]] = []

        async def come_and_go(
            number: int, start_s: float, patience_s: float, holds: list[float]
        ) -> None:
            await trio.sleep(start_s)
            with trio.move_on_after(patience_s) as scope:
                for hold_s in holds:  # whoever asks again at once stands behind those who wait
                    async with lock.write():
                        seen.append(("in", number, trio.current_time() - begin_s))
                        await trio.sleep(hold_s)
            if scope.cancelled_caught:
                seen.append(("gave up", number, trio.current_time() - begin_s))

        async with trio.open_nursery() as nursery:
            for number in range(30):
                # no two come at one time: which of them is first, Trio leaves to chance
                start_s, patience_s = number / 4 + number / 1024, chance.randrange(1, 40) / 4
                holds = [chance.randrange(1, 4) / 4 for _ in range(chance.randrange(1, 3))]
                nursery.start_soon(come_and_go, number, start_s, patience_s, holds)
        return seen

    ours = await comings_and_goings(TimedTaskLock(LockTimes()))
    assert ours == await comings_and_goings(Untimed())
    assert {"in", "gave up"} == {what for what, *_ in ours}


async def test_locks_may_share_their_times(autojump_clock: trio.testing.MockClock) -> None:
    times = LockTimes()
    first, second = TimedTaskLock(times), TimedTaskRWLock(times)
    await hold(first, "write", 1.0)
    await hold(second, "read", 2.0)
    assert (first.totals, second.totals) == (LockTotals(1, 0.0, 1.0), LockTotals(1, 0.0, 2.0))
    assert times.statistics().hold.total == 3.0
