"""Balances under every routing, lock and colour: they are a dict, and they know what locks cost."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, get_args

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from trio_stages import locks
from trio_stages import state as state_package
from trio_stages.locks import LockTimes
from trio_stages.state import (
    Entry,
    GuardStatistics,
    OffloadedReads,
    PlainBalances,
    State,
    TaskBalances,
    ThreadBalances,
    open_balances,
)
from trio_stages.state.guards import shard_of

if TYPE_CHECKING:
    from collections.abc import Iterator

STATES: tuple[State, ...] = get_args(State)

users = st.text(st.characters(), max_size=3) | st.sampled_from(["alice", "bob", "carol"])
# What happens to one user: amounts added in one entry, and whether its block then raises.
visits = st.lists(st.tuples(users, st.lists(st.integers(), max_size=3), st.booleans()), max_size=12)


class Broken(Exception):
    """Raised in the middle of a visit."""


def visit(entry: Entry, model: dict[str, int], user: str, amounts: list[int], fails: bool) -> None:
    """Add to the entry and to the plain dict, and see that they agree."""
    for amount in amounts:
        model[user] = model.get(user, 0) + amount
        assert entry.add(amount) == model[user]
    if fails:
        raise Broken


@pytest.mark.parametrize("state", STATES)
@given(visits, users, st.integers(1, 9))
def test_balances_of_threads_are_a_dict(
    state: State, history: list[tuple[str, list[int], bool]], stranger: str, shards: int
) -> None:
    balances = open_balances(state, "thread", shards=shards, times=LockTimes())
    model: dict[str, int] = {}
    for user, amounts, fails in history:
        try:
            with balances.entry(user) as entry:
                visit(entry, model, user, amounts, fails)
        except Broken:
            assert fails
        assert balances.get(user) == model.get(user)
    assert balances.get(stranger) == model.get(stranger)
    assert balances.snapshot() == balances.peek() == model
    statistics = balances.statistics()
    assert sum(guard.users for guard in statistics) == len(model)


@pytest.mark.parametrize("state", STATES)
@given(visits, users, st.integers(1, 9))
async def test_balances_of_tasks_are_a_dict(
    state: State, history: list[tuple[str, list[int], bool]], stranger: str, shards: int
) -> None:
    balances = open_balances(state, "task", shards=shards, times=LockTimes())
    model: dict[str, int] = {}
    for user, amounts, fails in history:
        try:
            async with balances.entry(user) as entry:
                visit(entry, model, user, amounts, fails)
        except Broken:
            assert fails
        assert await balances.get(user) == model.get(user)
    assert await balances.get(stranger) == model.get(stranger)
    assert await balances.snapshot() == balances.peek() == model
    statistics = balances.statistics()
    assert sum(guard.users for guard in statistics) == len(model)


@given(st.lists(st.tuples(users, st.integers())), users)
async def test_plain_balances_are_a_dict(history: list[tuple[str, int]], stranger: str) -> None:
    balances = PlainBalances()
    model: dict[str, int] = {}
    for user, amount in history:
        model[user] = model.get(user, 0) + amount
        assert balances.add(user, amount) == model[user] == await balances.get(user)
    assert await balances.get(stranger) == model.get(stranger)
    assert await balances.snapshot() == balances.copy() == model


def test_an_entry_is_of_no_use_after_its_block() -> None:
    balances = open_balances("mutex", "thread", shards=0, times=LockTimes())
    with pytest.raises(Broken), balances.entry("alice") as entry:
        visit(entry, {}, "alice", [100], fails=True)
    with pytest.raises(RuntimeError, match="'alice' was used after its block"):
        entry.add(1)
    assert balances.peek() == {"alice": 100}


async def test_nor_is_that_of_a_task() -> None:
    balances = open_balances("mutex", "task", shards=0, times=LockTimes())
    async with balances.entry("alice") as entry:
        entry.add(100)
    with pytest.raises(RuntimeError, match="'alice' was used after its block"):
        entry.add(1)
    assert balances.peek() == {"alice": 100}


@pytest.mark.parametrize("state", STATES)
def test_who_was_only_looked_at_is_not_created(state: State) -> None:
    balances = open_balances(state, "thread", shards=4, times=LockTimes())
    assert balances.get("alice") is None
    if state == "per-user":
        assert balances.statistics() == ()
    with balances.entry("alice"):
        pass
    assert balances.get("alice") is None
    assert balances.snapshot() == {}
    with balances.entry("alice") as entry:
        entry.add(0)
    assert balances.get("alice") == 0


# Exact virtual time


async def job(balances: TaskBalances, user: str, hold_s: float) -> None:
    async with balances.entry(user) as entry:
        await trio.sleep(hold_s)
        entry.add(1)


async def all_jobs(balances: TaskBalances, names: list[str]) -> float:
    """A job of half a second for each name, all at once; returns the virtual seconds it took."""
    start_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        for user in names:
            nursery.start_soon(job, balances, user, 0.5)
    return trio.current_time() - start_s


ALICE_10 = ["alice"] * 10
ONE_A_SHARD = [
    next(user for user in map("user{}".format, range(99)) if shard_of(user, 4) == shard)
    for shard in range(4)
]


@pytest.mark.parametrize(
    ("state", "names", "takes_s"),
    [
        ("mutex", ALICE_10, 5.0),
        ("mutex", ONE_A_SHARD, 2.0),
        ("rwlock", ONE_A_SHARD, 2.0),  # all of them write
        ("sharded", ONE_A_SHARD, 0.5),
        ("sharded", ONE_A_SHARD * 3, 1.5),
        ("sharded", ALICE_10, 5.0),  # one hot user is one hot lock
        ("per-user", ALICE_10, 5.0),
        ("per-user", [f"user{number}" for number in range(50)], 0.5),
    ],
)
async def test_jobs_take_turns_only_where_they_share_a_lock(
    state: State, names: list[str], takes_s: float, autojump_clock: trio.testing.MockClock
) -> None:
    balances = open_balances(state, "task", shards=4, times=LockTimes())
    assert await all_jobs(balances, names) == takes_s
    assert sum(balances.peek().values()) == len(names)


async def test_readers_read_together_under_the_reader_writer_lock(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A reader that finds a writer inside waits; two such readers wait no longer than one."""
    balances = open_balances("rwlock", "task", shards=0, times=(times := LockTimes()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(job, balances, "alice", 0.5)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(balances.get, "alice")
        nursery.start_soon(balances.snapshot)
    assert trio.current_time() == 0.5
    assert times.statistics().wait.total == 1.0


async def test_the_times_of_an_entry_and_of_its_guard_are_exact(
    autojump_clock: trio.testing.MockClock,
) -> None:
    balances = open_balances("sharded", "task", shards=4, times=(times := LockTimes()))

    async def timed(wait_s: float) -> None:
        async with balances.entry("user0") as entry:
            assert (entry.times.wait_s, entry.times.hold_s) == (wait_s, 0.0)
            await trio.sleep(0.5)
            entry.add(1)
        assert (entry.times.wait_s, entry.times.hold_s) == (wait_s, 0.5)

    async with trio.open_nursery() as nursery:
        for wait_s in (0.0, 0.5, 1.0):
            nursery.start_soon(timed, wait_s)
            await trio.testing.wait_all_tasks_blocked()
    guards = balances.statistics()
    assert GuardStatistics(users=1, acquisitions=3, wait_s=1.5, hold_s=1.5) in guards
    assert guards.count(GuardStatistics(0, 0, 0.0, 0.0)) == 3
    together = times.statistics()
    assert (together.acquisitions, together.wait.total, together.hold.total) == (3, 1.5, 1.5)


@pytest.mark.parametrize("state", STATES)
async def test_a_job_cancelled_while_it_waits_has_changed_nothing(
    state: State, autojump_clock: trio.testing.MockClock
) -> None:
    balances = open_balances(state, "task", shards=4, times=LockTimes())
    async with trio.open_nursery() as nursery, balances.entry("alice") as entry:
        nursery.start_soon(job, balances, "alice", 0.5)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        entry.add(100)
    with trio.fail_after(9):
        await job(balances, "alice", 0.5)
    assert balances.peek() == {"alice": 101}
    assert sum(guard.acquisitions for guard in balances.statistics()) == 2


# Real threads


class LetsOthersIn(int):
    """Gives up the GIL between the reading of a balance and the writing of it."""

    def __radd__(self, other: int) -> int:
        time.sleep(0)
        return int(other) + int(self)


def add_many(balances: ThreadBalances, start: threading.Barrier, number: int) -> None:
    start.wait(10)
    for turn in range(40):
        with balances.entry(f"user{(number + turn) % 5}") as entry:
            entry.add(LetsOthersIn(1))


@pytest.mark.parametrize("state", STATES)
def test_no_amount_is_lost_between_threads(state: State) -> None:
    times = LockTimes()
    balances = open_balances(state, "thread", shards=3, times=times)
    threads = 8
    start = threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(add_many, balances, start), range(threads)))
    assert balances.snapshot() == {f"user{number}": threads * 8 for number in range(5)}
    guards = balances.statistics()
    reads = len(guards)  # of the snapshot
    assert sum(guard.acquisitions for guard in guards) == threads * 40 + reads
    together = times.statistics()
    assert together.acquisitions == threads * 40 + reads
    assert sum(guard.wait_s for guard in guards) == pytest.approx(together.wait.total)
    assert sum(guard.hold_s for guard in guards) == pytest.approx(together.hold.total)


@pytest.mark.parametrize("state", STATES)
def test_peek_and_statistics_wait_for_no_lock(state: State) -> None:
    balances = open_balances(state, "thread", shards=2, times=LockTimes())
    with ThreadPoolExecutor(1) as pool, balances.entry("alice") as entry:
        entry.add(100)
        assert pool.submit(balances.peek).result(10) == {"alice": 100}
        assert sum(guard.users for guard in pool.submit(balances.statistics).result(10)) == 1


@pytest.mark.parametrize("state", STATES)
def test_reading_waits_for_the_lock(state: State) -> None:
    balances = open_balances(state, "thread", shards=2, times=LockTimes())
    with ThreadPoolExecutor(2) as pool:
        with balances.entry("alice") as entry:
            entry.add(1)
            one, everybody = pool.submit(balances.get, "alice"), pool.submit(balances.snapshot)
            threading.Event().wait(0.02)  # one that takes no lock has now read
            entry.add(1)
        assert (one.result(10), everybody.result(10)) == (2, {"alice": 2})


async def test_the_trio_thread_reads_without_standing_still() -> None:
    balances = open_balances("mutex", "thread", shards=0, times=LockTimes())
    reads = OffloadedReads(balances)
    answers: list[object] = []

    async def read() -> None:
        answers.append(await reads.get("alice"))
        answers.append(await reads.get("bob"))
        answers.append(await reads.snapshot())

    async with trio.open_nursery() as nursery:
        with balances.entry("alice") as entry:  # this task's thread is the one that has the lock
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            entry.add(100)
    assert answers == [100, None, {"alice": 100}]


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


@pytest.mark.usefixtures("eager_switching")
def test_all_may_be_read_while_users_come() -> None:
    balances = open_balances("per-user", "thread", shards=0, times=LockTimes())
    come = threading.Event()

    def many_come() -> None:
        try:
            for number in range(1000):
                with balances.entry(f"user{number}") as entry:
                    entry.add(1)
        finally:
            come.set()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(many_come)
        while not come.is_set():
            balances.peek()
            balances.statistics()
        coming.result()
    assert len(balances.peek()) == 1000


# What it is made of


@pytest.mark.parametrize("offload", ["Thread", "Task"])
@pytest.mark.parametrize(
    ("state", "mutexes", "reader_writer_locks"),
    [("mutex", 1, 0), ("rwlock", 0, 1), ("sharded", 3, 0), ("per-user", 0, 0)],
)
async def test_each_state_has_its_own_kind_of_lock(
    offload: str,
    state: State,
    mutexes: int,
    reader_writer_locks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Counter[str]()
    for kind in ("Lock", "RWLock"):
        name = f"Timed{offload}{kind}"

        def make(times: LockTimes, name: str = name) -> object:
            made[name] += 1
            return getattr(locks, name)(times)

        monkeypatch.setattr(state_package, name, make)
    if offload == "Thread":
        open_balances(state, "thread", shards=3, times=LockTimes())
    else:
        open_balances(state, "task", shards=3, times=LockTimes())
    assert made[f"Timed{offload}Lock"] == mutexes
    assert made[f"Timed{offload}RWLock"] == reader_writer_locks
