"""Who has how much: a map from user to balance, and the locks that keep it right.

Made of three independent choices:

- the routing (``guards.py``): one lock for all, a lock per shard, a lock per user;
- the kind of lock (``trio_stages.locks``): a mutex, or a reader-writer lock;
- the colour: ``threads.py`` for jobs in threads, ``tasks.py`` for jobs in Trio tasks.

``entry.py`` is what a job holds while it holds the lock. ``plain.py`` is for the stages before the
lock became the lesson.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar, assert_never, overload

from trio_stages.locks import TimedTaskLock, TimedTaskRWLock, TimedThreadLock, TimedThreadRWLock

from .entry import Entry
from .guards import GuardPerUser, GuardStatistics, OneGuard, ShardedGuards, TimedLock
from .plain import PlainBalances
from .tasks import TaskBalances
from .threads import OffloadedReads, ThreadBalances

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.locks import LockTimes

    from .guards import Routing
    from .tasks import TaskLock
    from .threads import ThreadLock

__all__ = [
    "Entry",
    "GuardStatistics",
    "OffloadedReads",
    "PlainBalances",
    "State",
    "TaskBalances",
    "ThreadBalances",
    "open_balances",
]

State = Literal["mutex", "rwlock", "sharded", "per-user"]

L = TypeVar("L", bound=TimedLock)


@overload
def open_balances(
    state: State, offload: Literal["thread"], *, shards: int, times: LockTimes
) -> ThreadBalances: ...


@overload
def open_balances(
    state: State, offload: Literal["task"], *, shards: int, times: LockTimes
) -> TaskBalances: ...


def open_balances(
    state: State, offload: Literal["thread", "task"], *, shards: int, times: LockTimes
) -> ThreadBalances | TaskBalances:
    """Open an empty map; for tasks, inside their Trio run.

    Shards and single users get mutexes: every job writes, so there is nothing that a reader-writer
    lock could let in together.

    Args:
        state: one mutex or one reader-writer lock for all, a mutex per shard or per user.
        offload: who takes the locks: threads, or tasks.
        shards: how many; of use to ``sharded`` alone.
        times: where all the locks count their waits and holds.

    Raises:
        ValueError: ``sharded`` with less than one shard.
    """
    if offload == "thread":
        thread_lock = TimedThreadRWLock if state == "rwlock" else TimedThreadLock
        new_thread_lock: Callable[[], ThreadLock] = partial(thread_lock, times)
        return ThreadBalances(_routing(state, shards, new_thread_lock))
    task_lock = TimedTaskRWLock if state == "rwlock" else TimedTaskLock
    new_task_lock: Callable[[], TaskLock] = partial(task_lock, times)
    return TaskBalances(_routing(state, shards, new_task_lock))


def _routing(state: State, shards: int, new_lock: Callable[[], L]) -> Routing[L]:
    match state:
        case "mutex" | "rwlock":
            return OneGuard(new_lock)
        case "sharded":
            return ShardedGuards(shards, new_lock)
        case "per-user":
            return GuardPerUser(new_lock)
        case _:
            assert_never(state)
