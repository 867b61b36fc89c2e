"""Balances in one dict, for the stages where the lock around it is the lesson."""

from __future__ import annotations


class PlainBalances:
    """User → balance; whoever adds holds the stage's lock.

    Reading takes no lock: looking up one key and copying a dict of integers are single steps, under
    the GIL and on a free-threaded build alike, and a reader has no use for the writers' order.
    """

    def __init__(self) -> None:
        self._balances: dict[str, int] = {}

    def add(self, user: str, amount: int) -> int:
        """Add to a user's balance, which starts at 0, and return the new one."""
        balance = self._balances[user] = self._balances.get(user, 0) + amount
        return balance

    def copy(self) -> dict[str, int]:
        """Return all balances."""
        return self._balances.copy()

    async def get(self, user: str) -> int | None:
        """Return a user's balance, or None if there is no such user."""
        return self._balances.get(user)

    async def snapshot(self) -> dict[str, int]:
        """Return all balances."""
        return self.copy()
