"""Which request means what: everything that a stage answers besides its own lesson."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from . import replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import Answer, Client, Respond
    from .messages import Request
    from .metrics import Metrics
    from .replies import Reply
    from .telemetry import Telemetry

EVENT_PATHS = frozenset({b"/", b"/events"})


class ReadBalances(Protocol):
    """What ``GET /balances`` needs of a stage's balances."""

    async def get(self, user: str) -> int | None:
        """Return one user's balance, or None if there is no such user."""

    async def snapshot(self) -> dict[str, int]:
        """Return all balances."""


class Routes:
    """The HTTP side of a stage.

    Args:
        telemetry: of the stage.
        on_event: answers a complete POST to an event path.
        balances: for ``GET /balances``; None where the stage has none.
        metrics: for ``GET /metrics``; None where the stage has none.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        on_event: Respond,
        balances: ReadBalances | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._on_event = on_event
        self._balances = balances
        self._metrics = metrics

    def respond(self, request: Request, client: Client) -> Answer:
        """Answer a request, at once unless something has to be waited for."""
        head = request.head
        if head.path in EVENT_PATHS:
            if head.method == b"POST":
                return self._on_event(request, client)
            return replies.POST_ONLY
        read = self._reader_of(head.path)
        if read is None:
            return replies.NOT_FOUND
        if head.method not in (b"GET", b"HEAD"):
            return replies.GET_ONLY
        return read()

    def _reader_of(self, path: bytes) -> Callable[[], Answer] | None:
        """What answers a GET of this path, if it exists here."""
        if path == b"/health":
            return self._health
        if path == b"/stats":
            return self._stats
        if path == b"/metrics" and self._metrics is not None:
            return self._metrics.reply
        if self._balances is None:
            return None
        if path == b"/balances":
            return partial(_all_balances, self._balances)
        if path.startswith(b"/balances/"):
            return partial(_one_balance, self._balances, path.removeprefix(b"/balances/"))
        return None

    def _health(self) -> Reply:
        return replies.STOPPING if self._telemetry.draining else replies.HEALTHY

    def _stats(self) -> Reply:
        return replies.json_reply(200, self._telemetry.stats())


async def _all_balances(balances: ReadBalances) -> Reply:
    return replies.json_reply(200, await balances.snapshot())


async def _one_balance(balances: ReadBalances, quoted: bytes) -> Reply:
    try:
        user = unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return replies.NOT_FOUND  # no event can have named such a user
    balance = await balances.get(user)
    if balance is None:
        return replies.NOT_FOUND
    return replies.json_reply(200, {"user": user, "balance": balance})
