"""Simulated work: it takes its time, in a thread or in a task, and a stop ends it early."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
from support import PATIENCE_S, settings_of
from trio.testing import wait_all_tasks_blocked

from trio_stages.work import Work, burn

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_S = 10.0


@pytest.fixture(params=["sleep", "cpu"])
def work(request: pytest.FixtureRequest) -> Work:
    return Work(settings_of(6, work=request.param))


@pytest.mark.parametrize("duration_s", [0.0, 0.5])
async def test_sleep_in_a_task_takes_exactly_its_time(
    duration_s: float, autojump_clock: trio.testing.MockClock
) -> None:
    start_s = trio.current_time()
    await Work(settings_of(6)).in_task(duration_s)
    assert trio.current_time() == start_s + duration_s


async def test_sleep_in_tasks_is_concurrent(autojump_clock: trio.testing.MockClock) -> None:
    work = Work(settings_of(6))
    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(work.in_task, 0.5)
    assert trio.current_time() == 0.5


def cpu_s(call: Callable[[], object]) -> float:
    before_s = time.thread_time()
    call()
    return time.thread_time() - before_s


@pytest.mark.parametrize("duration_s", [0.0, 0.005, 0.03])
def test_burning_is_measured_in_the_threads_own_cpu_time(duration_s: float) -> None:
    assert duration_s <= cpu_s(partial(burn, duration_s)) < duration_s + 0.02


def test_threads_that_burn_do_not_burn_for_each_other() -> None:
    """By the clock four times 20 ms would be 20 ms; in CPU time they are 80 ms."""
    burnt_s: list[float] = []
    threads = [
        threading.Thread(target=lambda: burnt_s.append(cpu_s(partial(burn, 0.02))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(burnt_s) == 4
    assert min(burnt_s) >= 0.02


def test_burning_looks_up_every_millisecond() -> None:
    looks = 0

    def stopping() -> bool:
        nonlocal looks
        looks += 1
        return looks > 5

    assert cpu_s(partial(burn, LONG_S, stopping)) < 0.1
    assert looks == 6


async def test_burning_in_a_task_burns_the_event_loops_thread() -> None:
    before_s = time.thread_time()
    await Work(settings_of(6, work="cpu")).in_task(0.01)
    assert time.thread_time() - before_s >= 0.01


@pytest.mark.parametrize("duration_s", [0.0, 0.005])
async def test_in_a_thread_it_takes_at_least_its_time(work: Work, duration_s: float) -> None:
    start_s = time.perf_counter()
    with trio.fail_after(PATIENCE_S):
        await trio.to_thread.run_sync(work.in_thread, duration_s)
    assert time.perf_counter() - start_s >= duration_s * 0.9  # two clocks


async def test_a_stop_ends_the_work_in_a_thread(work: Work) -> None:
    """Promptly, and as ``trio.Cancelled`` in the thread: before the job has had an effect."""
    working = trio.Event()
    ends: list[type[BaseException] | None] = []

    def in_thread() -> None:
        trio.from_thread.run_sync(working.set)
        try:
            work.in_thread(LONG_S)
        except BaseException as error:
            ends.append(type(error))
            raise
        ends.append(None)

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.wake_threads_on_cancel)
            for _ in range(3):
                nursery.start_soon(trio.to_thread.run_sync, in_thread)
            await working.wait()
            nursery.cancel_scope.cancel()
    assert ends
    assert set(ends) == {trio.Cancelled}


async def test_work_that_begins_after_the_stop_does_not_begin(work: Work) -> None:
    """In a thread that nobody has cancelled it ends at once; that job is finished, not lost."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.wake_threads_on_cancel)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with trio.fail_after(PATIENCE_S):
        await trio.to_thread.run_sync(work.in_thread, LONG_S)


async def test_a_task_that_sleeps_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(1) as scope:
        await Work(settings_of(6)).in_task(LONG_S)
    assert scope.cancelled_caught
    assert trio.current_time() == 1
