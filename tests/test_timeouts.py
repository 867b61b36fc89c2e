"""Timeouts of many clients: exact to the instant, lazily moved, and gone when they are closed."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_stages.timeouts import MOST_CLOSED, Timeout, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable


class Log:
    """When a timeout has passed."""

    def __init__(self) -> None:
        self.passed_at_s: list[float] = []

    def __call__(self) -> None:
        self.passed_at_s.append(trio.current_time())


@pytest.fixture
async def timeouts(nursery: trio.Nursery) -> Timeouts:
    timeouts = Timeouts()
    nursery.start_soon(timeouts.watch)
    await wait_all_tasks_blocked()
    return timeouts


@pytest.fixture
async def make(timeouts: Timeouts) -> Callable[[], tuple[Timeout, Log]]:
    def make() -> tuple[Timeout, Log]:
        log = Log()
        return Timeout(timeouts, log), log

    return make


async def test_it_passes_once_and_to_the_instant(
    make: Callable[[], tuple[Timeout, Log]], autojump_clock: MockClock
) -> None:
    timeout, log = make()
    start_s = trio.current_time()
    timeout.set(10)
    await trio.sleep(100)
    assert log.passed_at_s == [start_s + 10]


async def test_later_earlier_or_not_at_all(
    make: Callable[[], tuple[Timeout, Log]], autojump_clock: MockClock
) -> None:
    start_s = trio.current_time()
    later, later_log = make()
    later.set(10)
    earlier, earlier_log = make()
    earlier.set(60)
    never, never_log = make()
    never.set(20)
    await trio.sleep(5)
    later.set(10)
    earlier.set(10)
    never.clear()
    await trio.sleep(100)
    assert later_log.passed_at_s == earlier_log.passed_at_s == [start_s + 15]
    assert never_log.passed_at_s == []


async def test_a_busy_one_has_few_places_however_often_it_is_set(
    timeouts: Timeouts, make: Callable[[], tuple[Timeout, Log]], autojump_clock: MockClock
) -> None:
    timeout, log = make()
    for _ in range(1000):
        timeout.set(60)  # idle
        timeout.set(10)  # half a head
        timeout.clear()  # answered
        await trio.sleep(1)
    assert len(timeouts._heap) <= 60 / 10 + 1
    assert log.passed_at_s == []


async def test_the_closed_hold_nothing_and_leave_the_heap(
    timeouts: Timeouts, make: Callable[[], tuple[Timeout, Log]], autojump_clock: MockClock
) -> None:
    open_one, log = make()
    open_one.set(60)
    leavers = []
    for _ in range(3 * MOST_CLOSED):
        timeout, gone = make()
        leavers.append(weakref.ref(gone))
        del gone
        timeout.set(10)
        timeout.close()
        assert len(timeouts._heap) <= MOST_CLOSED + 2
    gc.collect()
    assert not any(leaver() for leaver in leavers)
    await trio.sleep(59)
    assert log.passed_at_s == []
    assert len(timeouts._heap) == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "clear", "close"]),
        st.integers(0, 3),
        st.sampled_from([1.0, 10.0, 30.0, 60.0]),
        st.sampled_from([0.0, 0.5, 7.0, 25.0]),
    ),
    max_size=40,
)


@given(steps)
@settings(deadline=None)
def test_as_a_plain_list_would_have_it(steps: list[tuple[str, int, float, float]]) -> None:
    """Against the obvious model: for each timeout the one instant at which it is due."""

    async def play() -> None:
        timeouts = Timeouts()
        logs = [Log() for _ in range(4)]
        due_s: list[float | None] = [None] * 4
        expected: list[list[float]] = [[] for _ in range(4)]

        def time_passes(to_s: float) -> None:
            for number, due in enumerate(due_s):
                if due is not None and due <= to_s:
                    expected[number].append(due)
                    due_s[number] = None

        async with trio.open_nursery() as nursery:
            nursery.start_soon(timeouts.watch)
            await wait_all_tasks_blocked()
            all_of_them = [Timeout(timeouts, log) for log in logs]
            closed = set()
            for what, number, seconds, pause_s in steps:
                if number in closed:
                    continue
                if what == "set":
                    all_of_them[number].set(seconds)
                    due_s[number] = trio.current_time() + seconds
                elif what == "clear":
                    all_of_them[number].clear()
                    due_s[number] = None
                else:
                    all_of_them[number].close()
                    closed.add(number)
                    due_s[number] = None
                time_passes(trio.current_time() + pause_s)
                await trio.sleep(pause_s)
                await wait_all_tasks_blocked()
            time_passes(trio.current_time() + 100)
            await trio.sleep(100)
            nursery.cancel_scope.cancel()
        assert [log.passed_at_s for log in logs] == expected

    trio.run(play, clock=MockClock(autojump_threshold=0))
