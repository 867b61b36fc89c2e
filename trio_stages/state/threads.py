"""Balances that threads share: ``with balances.entry(user) as entry: entry.add(100)``.

Rules:

1. A balance is read and changed under its guard's lock only; ``peek`` is the one exception.
2. No method takes a second lock while it has one, so there is no order of locks to keep.
3. An entry may be changed only inside its block.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import trio

from .entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from trio_stages.locks import Acquisition, LockTotals

    from .guards import GuardStatistics, Routing


class ThreadLock(Protocol):
    """A lock that threads wait for; see ``trio_stages.locks``."""

    def write(self) -> AbstractContextManager[Acquisition]: ...

    def read(self) -> AbstractContextManager[Acquisition]: ...

    @property
    def totals(self) -> LockTotals: ...


class ThreadBalances:
    """A map from user to balance; every method may be called from any thread.

    Whatever waits for a lock here blocks its thread and cannot be cancelled, so the Trio thread
    calls it through ``trio.to_thread.run_sync``.

    Args:
        routing: which lock guards which user.
    """

    def __init__(self, routing: Routing[ThreadLock]) -> None:
        self._routing = routing

    @contextmanager
    def entry(self, user: str) -> Iterator[Entry]:
        """Hold the lock of one user's balance for the ``with`` block.

        Returns:
            The balance, to be changed by its ``add``, and the times of the lock.
        """
        guard = self._routing.guard_of(user)
        with guard.lock.write() as acquisition, Entry(user, guard.balances, acquisition) as entry:
            yield entry

    def get(self, user: str) -> int | None:
        """Return one user's balance, or None if there is no such user; waits for its lock."""
        guard = self._routing.find(user)
        if guard is None:
            return None
        with guard.lock.read():
            return guard.balances.get(user)

    def snapshot(self) -> dict[str, int]:
        """Return all balances, waiting for one lock after the other.

        Every balance is one that its user had during the call, but not all of the same moment.
        """
        balances: dict[str, int] = {}
        for guard in self._routing.guards():
            with guard.lock.read():
                balances |= guard.balances
        return balances

    def peek(self) -> dict[str, int]:
        """Return all balances without a lock: the last look when a thread may be stuck inside one.

        Exact when nothing is written any more; else as good as ``snapshot``, because copying a dict
        is a single step with and without the GIL.
        """
        balances: dict[str, int] = {}
        for guard in self._routing.guards():
            balances |= guard.balances.copy()
        return balances

    def statistics(self) -> tuple[GuardStatistics, ...]:
        """The figures of every guard; takes no lock."""
        return tuple(guard.statistics() for guard in self._routing.guards())


class OffloadedReads:
    """The reading half of ``ThreadBalances`` for the Trio thread: it waits for locks in a thread.

    On cancellation a read that has begun is waited for; locks are held for a moment only.

    Args:
        balances: what threads write to.
    """

    def __init__(self, balances: ThreadBalances) -> None:
        self._balances = balances

    async def get(self, user: str) -> int | None:
        """Return one user's balance, or None if there is no such user."""
        return await trio.to_thread.run_sync(self._balances.get, user)

    async def snapshot(self) -> dict[str, int]:
        """Return all balances; see ``ThreadBalances.snapshot``."""
        return await trio.to_thread.run_sync(self._balances.snapshot)
