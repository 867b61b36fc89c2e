"""One connection: moves bytes between a Trio stream and the framing, and holds the client to time.

Rules:

1. Each thing that the client owes us has a deadline for all of it, not for each byte of it.
2. While we owe the client an answer, no clock runs against it.
3. A reply that ends the connection is not lost: we stop sending, read on for a moment, then close
   (RFC 9112, 9.6; closing with unread input would reset the connection and destroy the reply).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import trio

from . import replies
from .framing import HEADS, NO_HEADS, Phase, Refused, RequestReader
from .tcp import TcpStream
from .timeouts import Timeout

if TYPE_CHECKING:
    from .messages import Head, Request
    from .options import Settings
    from .replies import Reply
    from .telemetry import Telemetry
    from .timeouts import Timeouts
    from .turns import Turns

# Small beside memory.LARGE_BYTES: what is kept of it does not add up in the heap.
RECEIVE_BYTES = 16_384
# How long, and how much, a refused client may go on sending before the connection is cut.
LINGER_S = 1.0
LINGER_BYTES = 4 * 1_048_576
# How long a graceful stop waits for a request on its way over an idle connection.
LAST_CALL_S = 0.1

log = logging.getLogger(__name__)


class Client(Protocol):
    """Whoever waits for the reply."""

    async def gone(self) -> None:
        """Return when the client has stopped sending or vanished."""


Respond = Callable[["Request", Client], Awaitable["Reply"]]


class Connection:
    """One client, from the accept to the close.

    Args:
        stream: owned by the connection from here on.
        settings: for limits and timeouts.
        telemetry: where errors are counted.
        turns: the line in which all connections wait to be answered.
        timeouts: those of all connections.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        settings: Settings,
        telemetry: Telemetry,
        turns: Turns,
        timeouts: Timeouts,
    ) -> None:
        self._stream = stream
        self._telemetry = telemetry
        self._turns = turns
        self._timeouts_s = {
            Phase.IDLE: settings.idle_timeout,
            Phase.HEAD: settings.header_timeout,
            Phase.BODY: settings.body_timeout,
        }
        self._write_timeout_s = settings.write_timeout
        self._reader = RequestReader(
            max_header_bytes=settings.max_header_bytes,
            max_body_bytes=settings.max_body_bytes,
            heads=NO_HEADS if settings.no_fast_path else HEADS,
        )
        self._scope = trio.CancelScope()
        self._timeout = Timeout(timeouts, self._time_is_up)
        self._late = False
        # What the timeout is for; None while we are not waiting for the client to send.
        self._owed: Phase | None = None
        self._last = False

    async def serve(self, respond: Respond) -> None:
        """Answer requests until one side ends the connection, then close it.

        On cancellation the connection is closed at once.

        Args:
            respond: answers one request.
        """
        try:
            # The header timeout runs from the accept, whether or not a first byte comes.
            self._expect(Phase.HEAD)
            with self._scope:
                await self._converse(respond)
            if self._scope.cancelled_caught:
                if self._owed in (Phase.HEAD, Phase.BODY):
                    await self._refuse(replies.REQUEST_TIMEOUT)
                elif self._last:
                    await self._linger()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone; that is its right at any byte
        finally:
            self._timeout.close()
            await self._stream.aclose()

    def finish(self) -> None:
        """Make the request that is under way, or comes next, the last: its reply says so."""
        self._last = True

    def dismiss(self) -> None:
        """End the connection if nothing has come of a request that would be the last."""
        if self._reader.phase is Phase.IDLE and self._owed is not None:
            self._owed = Phase.IDLE
            self._time_is_up()

    async def turn_away(self, respond: Respond, timeout_s: float) -> None:
        """Answer one request for ``/health``, and anything else with "too many connections".

        Args:
            respond: answers the former.
            timeout_s: for the client to send the head of its request.
        """
        reader = self._reader
        request = None
        try:
            with trio.move_on_after(timeout_s), suppress(Refused):
                while (request := reader.next_request()) is None:
                    if reader.at_eof or reader.phase is Phase.BODY:
                        break
                    reader.feed(await self._stream.receive_some(RECEIVE_BYTES))
            if request is not None and request.head.path == b"/health":
                reply = await self._answer(respond, request)
                head = replace(request.head, keep_alive=False)
            else:
                self._telemetry.connections_refused += 1
                reply, head = replies.TOO_MANY_CONNECTIONS, None
            with trio.move_on_after(timeout_s):
                await self._send(reply, head)
                await self._linger()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await self._stream.aclose()

    async def gone(self) -> None:
        """Return when the client has stopped sending or vanished; for use while it is answered.

        What it sends meanwhile is kept for its next request.
        """
        try:
            while self._reader.buffered_bytes < RECEIVE_BYTES:
                data = await self._stream.receive_some(RECEIVE_BYTES)
                self._reader.feed(data)
                if not data:
                    return
        except trio.BrokenResourceError:
            return
        await trio.sleep_forever()  # it sends on without waiting for replies, so it is there

    async def _converse(self, respond: Respond) -> None:
        while True:
            try:
                request = await self._receive_request()
            except Refused as refused:
                await self._refuse(refused.reply)
                return
            if request is None:
                return
            await self._turns.take()
            reply = await self._answer(respond, request)
            head = replace(request.head, keep_alive=False) if self._last else request.head
            await self._send(reply, head)
            if reply.close or not head.keep_alive:
                break
        if request.head.keep_alive or self._reader.buffered_bytes:
            await self._linger()  # the client may be sending its next request

    async def _answer(self, respond: Respond, request: Request) -> Reply:
        """The one place where an error of ours becomes a reply, and harms nobody else."""
        try:
            return await respond(request, self)
        except Exception:
            log.exception("a request could not be answered")
            return replies.INTERNAL_ERROR

    async def _receive_request(self) -> Request | None:
        """The next complete request, or None if the client has ended the connection."""
        reader = self._reader
        while True:
            if not reader.idle:
                request = reader.next_request()
                if request is not None:
                    break
                if (phase := reader.phase) is not self._owed and phase is not Phase.IDLE:
                    self._expect(phase)
                if reader.continue_due():
                    await self._stream.send_all(replies.CONTINUE)
            if reader.at_eof:
                return None
            reader.feed(await self._stream.receive_some(RECEIVE_BYTES))
        if self._late:
            # Complete at the very moment of its timeout: the timeout stands, for from here on a
            # cancellation would hit the answer and not the client.
            await trio.lowlevel.checkpoint()
        self._owed = None
        self._timeout.clear()
        return request

    def _time_is_up(self) -> None:
        self._late = True
        self._scope.cancel()

    def _expect(self, phase: Phase) -> None:
        timeout_s = self._timeouts_s[phase]
        if self._last and phase is Phase.IDLE:  # the last reply was on its way, and promised more
            timeout_s = LAST_CALL_S
        self._owed = phase
        self._timeout.set(timeout_s)

    async def _send(self, reply: Reply, head: Head | None) -> None:
        if reply.http_error:
            self._telemetry.ledger.http_error()
        data = reply.render(head)
        # Nearly always the kernel takes all of it, and no clock is needed.
        sent = self._stream.send_nowait(data) if isinstance(self._stream, TcpStream) else 0
        if sent < len(data):
            self._timeout.set(self._write_timeout_s)
            await self._stream.send_all(data[sent:])
        self._expect(Phase.IDLE)

    async def _refuse(self, reply: Reply) -> None:
        self._owed = None
        with trio.move_on_after(self._write_timeout_s):
            await self._send(reply, None)
            await self._linger()

    async def _linger(self) -> None:
        self._timeout.clear()
        if not isinstance(self._stream, trio.abc.HalfCloseableStream):
            return
        with trio.move_on_after(LINGER_S):
            await self._stream.send_eof()
            unread = LINGER_BYTES
            while unread > 0 and (data := await self._stream.receive_some(RECEIVE_BYTES)):
                unread -= len(data)
