"""Which lock guards which user's balance: one for all, one per shard, or one each.

Rules:

1. A guard is one lock and the one dict that it guards; no user is in two guards.
2. A user's guard never changes, in no run of the program: the routing is a pure function of the
   name (and the number of shards).
3. Looking a user up leaves nothing behind; only asking for a guard to write may create one.

More locks, more of them free: with N shards two workers meet at a lock with a probability of 1 in N
when their users differ, and for one user they meet always; a load with a single hot user makes its
shard the hot lock, whatever N is. Four shards per core is the default of Rust's DashMap: enough
that a meeting is rare, few enough to walk through for a snapshot. A lock per user is the finest
grain, at the price of a lock and a dict for every name that a client thinks of.

The hash must be the same tomorrow and in the next process, which the built-in ``hash`` of a string
is not: it is salted anew in every run. ``zlib.crc32`` takes 0.1 µs, ``hashlib.blake2b`` 0.5 µs, and
names that only count up it spreads more evenly than chance: 100,000 users over 8 shards are 12,498
to 12,502 in each, with blake2b 12,316 to 12,657 (``python -m trio_stages.state.spread`` prints
both). It keeps no secret: a client that means to can send names that all meet in one shard. That
costs the speed of sharding, never a balance; where it matters, use ``blake2b(name, key=secret)``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio_stages.locks import LockTotals


class TimedLock(Protocol):
    """What a guard needs to know of its lock, of whichever colour."""

    @property
    def totals(self) -> LockTotals:
        """The lock's own sums."""


L = TypeVar("L", bound=TimedLock)


@dataclass(frozen=True, slots=True)
class GuardStatistics:
    """One guard: how many users it has, and what its lock has cost, in seconds."""

    users: int
    acquisitions: int
    wait_s: float
    hold_s: float


class Guard(Generic[L]):
    """A lock and the balances that nobody touches without it."""

    __slots__ = ("balances", "lock")

    def __init__(self, lock: L) -> None:
        self.lock = lock
        self.balances: dict[str, int] = {}

    def statistics(self) -> GuardStatistics:
        """The figures of this guard; takes no lock."""
        totals = self.lock.totals
        return GuardStatistics(len(self.balances), *totals)


class Routing(Protocol[L]):
    """Where a user's balance is; safe under threads."""

    def guard_of(self, user: str) -> Guard[L]:
        """Return the guard of this user, to write."""

    def find(self, user: str) -> Guard[L] | None:
        """Return the guard of this user, to read; None if there cannot be a balance."""

    def guards(self) -> Sequence[Guard[L]]:
        """Return all guards there are now."""


class OneGuard(Generic[L]):
    """Everybody behind one lock."""

    def __init__(self, new_lock: Callable[[], L]) -> None:
        self._guard = Guard(new_lock())

    def guard_of(self, user: str) -> Guard[L]:
        return self._guard

    def find(self, user: str) -> Guard[L] | None:
        return self._guard

    def guards(self) -> Sequence[Guard[L]]:
        return (self._guard,)


class ShardedGuards(Generic[L]):
    """A fixed number of guards, and a hash to choose one.

    Args:
        shards: how many; any number from 1 up, it need not be a power of two.
        new_lock: makes one lock.

    Raises:
        ValueError: there would be no shard.
    """

    def __init__(self, shards: int, new_lock: Callable[[], L]) -> None:
        if shards < 1:
            raise ValueError(f"a sharded map has at least one shard, not {shards}")
        self._guards = tuple(Guard(new_lock()) for _ in range(shards))

    def guard_of(self, user: str) -> Guard[L]:
        return self._guards[shard_of(user, len(self._guards))]

    def find(self, user: str) -> Guard[L] | None:
        return self.guard_of(user)

    def guards(self) -> Sequence[Guard[L]]:
        return self._guards


def shard_of(user: str, shards: int) -> int:
    """Which of so many shards a user belongs to, in every process and on every machine.

    Args:
        user: any string, half a surrogate pair included (JSON can spell one).
        shards: how many there are.

    Returns:
        A number from 0 to ``shards - 1``.
    """
    return zlib.crc32(user.encode("utf-8", "surrogatepass")) % shards


class GuardPerUser(Generic[L]):
    """A guard for every user, created when somebody first means to write its balance.

    Guards are never removed.
    """

    def __init__(self, new_lock: Callable[[], L]) -> None:
        self._new_lock = new_lock
        self._guards: dict[str, Guard[L]] = {}

    def guard_of(self, user: str) -> Guard[L]:
        guard = self._guards.get(user)
        if guard is None:
            # Two threads may both come here; setdefault is a single step, with and without the
            # GIL, and gives both of them the guard of the first.
            guard = self._guards.setdefault(user, Guard(self._new_lock()))
        return guard

    def find(self, user: str) -> Guard[L] | None:
        return self._guards.get(user)

    def guards(self) -> Sequence[Guard[L]]:
        return tuple(self._guards.copy().values())  # copy: one step, whoever inserts meanwhile
