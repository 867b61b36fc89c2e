"""One user's balance, while its lock is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.locks import Acquisition


class Entry:
    """What ``balances.entry(user)`` gives to its block, and of no use to change anything after it.

    The user comes into being with the first ``add``. Like the lock it stands for, an entry belongs
    to the thread or task that opened it.

    Attributes:
        times: how long the block waited for its lock, and once it has been left, held it; these may
            be read after the block.
    """

    __slots__ = ("_balances", "_user", "times")

    def __init__(self, user: str, balances: dict[str, int], times: Acquisition) -> None:
        self._user = user
        self._balances: dict[str, int] | None = balances
        self.times = times

    def __enter__(self) -> Entry:
        return self

    def __exit__(self, *_: object) -> None:
        self._balances = None

    def add(self, amount: int) -> int:
        """Change the balance; never waits.

        Args:
            amount: to add, or when negative to take.

        Returns:
            The new balance.

        Raises:
            RuntimeError: the block has been left, and the lock is no longer held.
        """
        if self._balances is None:
            raise RuntimeError(f"the entry of {self._user!r} was used after its block")
        balance = self._balances.get(self._user, 0) + amount
        self._balances[self._user] = balance
        return balance
