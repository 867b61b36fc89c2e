"""Which request means what: everything that a stage answers besides its own lesson."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from . import replies

if TYPE_CHECKING:
    from .connection import Client, Respond
    from .framing import Request
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
    """

    def __init__(
        self,
        telemetry: Telemetry,
        on_event: Respond,
        balances: ReadBalances | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._on_event = on_event
        self._balances = balances

    async def respond(self, request: Request, client: Client) -> Reply:
        """Answer a request."""
        head = request.head
        if head.path in EVENT_PATHS:
            if head.method == b"POST":
                return await self._on_event(request, client)
            return replies.POST_ONLY
        known = head.path in (b"/health", b"/stats") or (
            self._balances is not None
            and (head.path == b"/balances" or head.path.startswith(b"/balances/"))
        )
        if not known:
            return replies.NOT_FOUND
        if head.method not in (b"GET", b"HEAD"):
            return replies.GET_ONLY
        return await self._read(head.path)

    async def _read(self, path: bytes) -> Reply:
        if path == b"/health":
            return replies.HEALTHY
        if path == b"/stats":
            return replies.json_reply(200, self._telemetry.stats())
        assert self._balances is not None
        if path == b"/balances":
            return replies.json_reply(200, await self._balances.snapshot())
        try:
            user = unquote_to_bytes(path.removeprefix(b"/balances/")).decode()
        except UnicodeDecodeError:
            return replies.NOT_FOUND  # no event can have named such a user
        balance = await self._balances.get(user)
        if balance is None:
            return replies.NOT_FOUND
        return replies.json_reply(200, {"user": user, "balance": balance})
