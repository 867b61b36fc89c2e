"""Timed locks for threads: real threads, gated by events and barriers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from trio_stages.locks import LockTimes, LockTotals, TimedThreadLock, TimedThreadRWLock
from trio_stages.locks import threads as module
from trio_stages.locks.turnstile import Ticket, Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from trio_stages.locks import Acquisition

ThreadLock = TimedThreadLock | TimedThreadRWLock

PATIENCE_S = 10.0
"""How long a test waits for what must happen; reached only when it fails."""

EXCLUSIVE = [(TimedThreadLock, "write"), (TimedThreadLock, "read"), (TimedThreadRWLock, "write")]
ALL_WAYS = [*EXCLUSIVE, (TimedThreadRWLock, "read")]


def passage(lock: ThreadLock, way: str) -> Callable[[], AbstractContextManager[Acquisition]]:
    return lock.write if way == "write" else lock.read


def all_at_once(threads: int, function: Callable[[], None]) -> None:
    """Run it in so many threads that start together; the first exception is raised."""
    barrier = threading.Barrier(threads, timeout=PATIENCE_S)

    def run() -> None:
        barrier.wait()
        function()

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(run) for _ in range(threads)]:
            future.result()


@pytest.mark.parametrize(("kind", "way"), EXCLUSIVE)
def test_no_update_is_lost(kind: type[ThreadLock], way: str) -> None:
    times = LockTimes()
    lock = kind(times)
    total = 0

    def add() -> None:
        nonlocal total
        for _ in range(50):
            with passage(lock, way)():
                before = total
                time.sleep(0)  # lets go of the GIL between reading and writing
                total = before + 1

    all_at_once(8, add)
    assert total == lock.totals.acquisitions == times.statistics().acquisitions == 400


def test_readers_and_writers_never_meet() -> None:
    lock = TimedThreadRWLock(LockTimes())
    inside: Counter[str] = Counter()
    counting = threading.Lock()
    numbers = iter(range(10_000))

    def come_and_go() -> None:
        for _ in range(50):
            way = "write" if next(numbers) % 3 == 0 else "read"
            with passage(lock, way)():
                with counting:
                    inside[way] += 1
                    seen = inside.copy()
                time.sleep(0)
                with counting:
                    inside[way] -= 1
            assert seen["write"] == 0 or (seen["write"], seen["read"]) == (1, 0)

    all_at_once(8, come_and_go)
    assert lock.totals.acquisitions == 400


def test_several_readers_are_inside_at_once() -> None:
    lock = TimedThreadRWLock(LockTimes())
    together = threading.Barrier(4, timeout=PATIENCE_S)

    def read() -> None:
        with lock.read():
            together.wait()

    all_at_once(4, read)
    assert lock.totals.acquisitions == 4


def test_no_two_threads_turn_the_turnstile_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    turning: list[Ticket] = []
    met: list[list[Ticket]] = []

    def alone(step: Callable[[Turnstile, Ticket], None]) -> Callable[[Turnstile, Ticket], None]:
        def watched(turnstile: Turnstile, ticket: Ticket) -> None:
            turning.append(ticket)
            time.sleep(0)
            step(turnstile, ticket)
            if turning != [ticket]:
                met.append(turning.copy())
            turning.remove(ticket)

        return watched

    monkeypatch.setattr(Turnstile, "arrive", alone(Turnstile.arrive))
    monkeypatch.setattr(Turnstile, "leave", alone(Turnstile.leave))
    lock = TimedThreadRWLock(LockTimes())

    def come_and_go() -> None:
        for _ in range(50):
            with lock.read():
                pass

    all_at_once(8, come_and_go)
    assert not met


class Arrivals:
    """A turnstile that tells when somebody has got a place in its queue, or inside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._arrived = arrived = threading.Semaphore(0)

        class Watched(Turnstile):
            def arrive(self, ticket: Ticket) -> None:
                super().arrive(ticket)
                arrived.release()

        monkeypatch.setattr(module, "Turnstile", Watched)

    def wait_for_next(self) -> None:
        assert self._arrived.acquire(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("arrivals", "order"),
    [
        ("rwr", ["r", "w", "r"]),  # the second reader does not overtake the writer
        ("wrw", ["w", "r", "w"]),  # nor the second writer the reader
        ("rwrrw", ["r", "w", "rr", "w"]),
        ("wwrwr", ["w", "w", "r", "w", "r"]),
    ],
)
def test_who_waits_gets_in_in_the_order_of_arrival(
    arrivals: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Arrivals(monkeypatch)
    lock = TimedThreadRWLock(LockTimes())
    all_here = threading.Event()
    entered: list[str] = []

    def pass_through(who: str, together: threading.Barrier) -> None:
        with passage(lock, "write" if who == "w" else "read")():
            assert all_here.wait(PATIENCE_S)
            entered.append(who)
            together.wait()  # all readers of a phase are in at once

    phases = [(phase, threading.Barrier(len(phase), timeout=PATIENCE_S)) for phase in order]
    with ThreadPoolExecutor(len(arrivals)) as pool:
        passing = []
        for phase, together in phases:
            for who in phase:
                passing.append(pool.submit(pass_through, who, together))
                watch.wait_for_next()
        all_here.set()
        for future in passing:
            future.result()
    assert "".join(entered) == arrivals


def test_a_stream_of_readers_does_not_starve_a_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader leaves before the next has come: let past the writer, they leave it no room."""
    watch = Arrivals(monkeypatch)
    lock = TimedThreadRWLock(LockTimes())
    readers = 10
    has_come = [threading.Event() for _ in range(readers + 1)]
    entered: list[str] = []

    def read(me: int) -> None:
        with lock.read():
            entered.append("r")
            assert has_come[me + 1].wait(PATIENCE_S)

    def write() -> None:
        with lock.write():
            entered.append("w")

    with ThreadPoolExecutor(readers + 1) as pool:
        passing = []
        for me in range(readers):
            passing.append(pool.submit(read, me))
            watch.wait_for_next()
            has_come[me].set()
            if me == 0:
                passing.append(pool.submit(write))
                watch.wait_for_next()
        has_come[readers].set()
        for future in passing:
            future.result()
    assert "".join(entered) == "rw" + "r" * (readers - 1)


def test_a_writer_who_asks_again_at_once_does_not_starve_a_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a bare ``threading.Lock`` does not promise: it mostly goes back to who already runs."""
    watch = Arrivals(monkeypatch)
    lock = TimedThreadRWLock(LockTimes())
    read = threading.Event()

    def reader() -> None:
        with lock.read():
            read.set()

    with ThreadPoolExecutor(1) as pool:
        with lock.write():
            watch.wait_for_next()
            reading = pool.submit(reader)
            watch.wait_for_next()
        with lock.write():
            assert read.is_set()
        reading.result()


def ticking(*seconds: float) -> Callable[[], float]:
    return iter(seconds).__next__


@pytest.mark.parametrize(("kind", "way"), ALL_WAYS)
def test_wait_and_hold_are_what_the_clock_says(kind: type[ThreadLock], way: str) -> None:
    times = LockTimes()
    lock = kind(times, clock=ticking(100.0, 100.25, 101.25))
    with passage(lock, way)() as acquisition:
        assert (acquisition.wait_s, acquisition.hold_s) == (0.25, 0.0)
        assert times.statistics().acquisitions == 0
    assert (acquisition.wait_s, acquisition.hold_s) == (0.25, 1.0)
    assert lock.totals == LockTotals(1, 0.25, 1.0)
    statistics = times.statistics()
    assert (statistics.wait.total, statistics.hold.total) == (0.25, 1.0)


@pytest.mark.parametrize(("kind", "way"), EXCLUSIVE)
def test_the_wait_ends_when_the_lock_is_free(kind: type[ThreadLock], way: str) -> None:
    now_s = 0.0
    asked = threading.Event()

    def clock() -> float:
        if threading.current_thread() is not threading.main_thread():
            asked.set()
        return now_s

    lock = kind(LockTimes(), clock=clock)

    def wait() -> tuple[float, float]:
        with passage(lock, way)() as acquisition:
            pass
        return acquisition.wait_s, acquisition.hold_s

    with ThreadPoolExecutor(1) as pool:
        with lock.write():
            waiting = pool.submit(wait)
            assert asked.wait(PATIENCE_S)
            now_s = 3.0
        assert waiting.result(PATIENCE_S) == (3.0, 0.0)
    assert lock.totals == LockTotals(2, 3.0, 3.0)


@pytest.mark.parametrize(("kind", "way"), ALL_WAYS)
def test_the_hold_is_known_and_counted_when_the_body_raised(
    kind: type[ThreadLock], way: str
) -> None:
    lock = kind(LockTimes(), clock=ticking(0.0, 1.0, 3.0, 5.0, 5.0, 5.0))
    with pytest.raises(LookupError), passage(lock, way)() as acquisition:
        raise LookupError
    assert acquisition.hold_s == 2.0
    with lock.write():  # it is free
        assert lock.totals == LockTotals(1, 1.0, 2.0)


class Interrupted(BaseException):
    """What a signal's handler may raise anywhere, as Ctrl-C does."""


def test_a_wait_ended_by_a_signal_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    class InterruptedGate:
        """A gate that opens for nobody before the handler raises."""

        def __init__(self) -> None:
            self.asked = 0

        def acquire(self) -> None:
            self.asked += 1
            if self.asked == 2:
                raise Interrupted

        def release(self) -> None:
            pytest.fail("nobody lets it in")

    lock = TimedThreadRWLock(LockTimes())
    with lock.write():
        monkeypatch.setattr(threading, "Lock", InterruptedGate)
        with pytest.raises(Interrupted), lock.write():
            pytest.fail("it has not been let in")
        monkeypatch.undo()
    with lock.read():
        assert lock.totals.acquisitions == 1


def test_waits_and_holds_are_counted_in_one_step() -> None:
    times = LockTimes()
    halfway, go_on = threading.Event(), threading.Event()

    class Halfway:
        """Two seconds that stop in the middle of being counted."""

        def __float__(self) -> float:
            halfway.set()
            assert go_on.wait(PATIENCE_S)
            return 2.0

    times.record(1.0, cast("float", Halfway()))
    with ThreadPoolExecutor(2) as pool:
        readings = [pool.submit(times.statistics)]
        assert halfway.wait(PATIENCE_S)
        readings.append(pool.submit(times.statistics))
        threading.Event().wait(0.05)  # a reader who does not wait its turn has now read
        go_on.set()
    for reading in readings:
        statistics = reading.result()
        assert statistics.acquisitions == statistics.wait.count == statistics.hold.count == 1


def test_the_totals_of_readers_who_leave_together_are_exact() -> None:
    class LetsOthersIn(float):
        def __radd__(self, other: float) -> float:
            time.sleep(0)
            return float(other) + float(self)

        def __sub__(self, other: float) -> float:
            return LetsOthersIn(1.0)

    lock = TimedThreadRWLock(LockTimes(), clock=lambda: LetsOthersIn(0.0))

    def read() -> None:
        for _ in range(50):
            with lock.read():
                pass

    all_at_once(8, read)
    assert lock.totals == LockTotals(400, 400.0, 400.0)


@pytest.mark.parametrize(("kind", "way"), EXCLUSIVE)
async def test_a_thread_that_waits_cannot_be_cancelled_but_can_look(
    kind: type[ThreadLock], way: str
) -> None:
    lock = kind(LockTimes())
    asked, applied = threading.Event(), threading.Event()

    def job() -> None:
        asked.set()
        with passage(lock, way)():
            trio.from_thread.check_cancelled()
            applied.set()

    async with trio.open_nursery() as nursery:
        with lock.write():
            nursery.start_soon(trio.to_thread.run_sync, job)
            await trio.to_thread.run_sync(asked.wait, PATIENCE_S)
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()
            assert nursery.child_tasks  # it is still there
    assert not applied.is_set()
    assert lock.totals.acquisitions == 2
