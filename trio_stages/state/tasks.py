"""Balances that Trio tasks share: ``async with balances.entry(user) as entry: entry.add(100)``.

The rules are those of ``threads.py``. A task that is cancelled while it waits for a lock has
changed nothing; one that is cancelled inside its block keeps what it has added so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .entry import Entry

if TYPE_CHECKING:
    from trio_stages.locks import LockTotals, Passage

    from .guards import Guard, GuardStatistics, Routing


class TaskLock(Protocol):
    """A lock that Trio tasks wait for; see ``trio_stages.locks``."""

    def write(self) -> Passage: ...

    def read(self) -> Passage: ...

    @property
    def totals(self) -> LockTotals: ...


class TaskBalances:
    """A map from user to balance, for the tasks of one Trio run.

    Args:
        routing: which lock guards which user.
    """

    def __init__(self, routing: Routing[TaskLock]) -> None:
        self._routing = routing

    def entry(self, user: str) -> _Opening:
        """Hold the lock of one user's balance for the ``async with`` block.

        Returns:
            The balance, to be changed by its ``add``, and the times of the lock.
        """
        return _Opening(user, self._routing.guard_of(user))

    async def get(self, user: str) -> int | None:
        """Return one user's balance, or None if there is no such user; waits for its lock."""
        guard = self._routing.find(user)
        if guard is None:
            return None
        async with guard.lock.read():
            return guard.balances.get(user)

    async def snapshot(self) -> dict[str, int]:
        """Return all balances, waiting for one lock after the other.

        Every balance is one that its user had during the call, but not all of the same moment.
        """
        balances: dict[str, int] = {}
        for guard in self._routing.guards():
            async with guard.lock.read():
                balances |= guard.balances
        return balances

    def peek(self) -> dict[str, int]:
        """Return all balances, those too whose lock is held, without waiting."""
        balances: dict[str, int] = {}
        for guard in self._routing.guards():
            balances |= guard.balances
        return balances

    def statistics(self) -> tuple[GuardStatistics, ...]:
        """The figures of every guard."""
        return tuple(guard.statistics() for guard in self._routing.guards())


class _Opening(Entry):
    """An entry that waits for its lock; a class, for a generator costs two microseconds more."""

    __slots__ = ("_guard", "_passage")

    def __init__(self, user: str, guard: Guard[TaskLock]) -> None:
        self._user = user
        self._balances = None
        self._guard = guard

    async def __aenter__(self) -> Entry:
        guard = self._guard
        self._passage = self.times = passage = guard.lock.write()
        if not passage.enter_nowait():
            await passage.wait()
        self._balances = guard.balances
        return self

    async def __aexit__(self, *_: object) -> None:
        self._balances = None
        self._passage.leave()
