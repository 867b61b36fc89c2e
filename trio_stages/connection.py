"""One connection: moves bytes between a Trio stream and the framing, and holds the client to time.

Rules:

1. Each thing that the client owes us has a deadline for all of it, not for each byte of it; whoever
   waits for the client to send something has set one.
2. While we make an answer, no clock runs against the client; to take it, it has the write timeout.
3. A reply that ends the connection is not lost: we stop sending, read on for a moment, then close
   (RFC 9112, 9.6; closing with unread input would reset the connection and destroy the reply).
4. What needs no waiting is answered by the task that brings the news (``readiness.py``), while the
   connection's own sleeps on: to wake it would cost more than to answer. A connection whose one
   request has come with it, and needs no waiting, gets no task at all.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import trio

from . import replies
from .framing import BODY, HEAD, HEADS, IDLE, NO_HEADS, Phase, Refused, RequestReader
from .replies import Reply
from .tcp import TcpStream
from .timeouts import Timeout

if TYPE_CHECKING:
    from .messages import Head, Request
    from .options import Settings
    from .telemetry import Telemetry
    from .timeouts import Timeouts
    from .turns import Turns

# Small, for what is smaller than ``memory.MMAP_FROM_BYTES`` stays in the heap.
RECEIVE_BYTES = 16_384
# The write timeout is for so much of a reply; a longer one has as long again for each further part.
WRITE_TIMEOUT_BYTES = 1_048_576
# How long, and how much, a client may go on sending behind its last reply before it is cut off.
LINGER_S = 1.0
LINGER_BYTES = 4 * 1_048_576
# How long a graceful stop waits for a request on its way over an idle connection.
LAST_CALL_S = 0.1

log = logging.getLogger(__name__)


class Client(Protocol):
    """Whoever waits for the reply."""

    async def gone(self) -> None:
        """Return when the client has stopped sending or vanished."""


#: What becomes of a request: the reply itself, where nothing has to be waited for.
Answer = Reply | Awaitable[Reply]
Respond = Callable[["Request", Client], Answer]


async def awaited(answer: Answer) -> Reply:
    """The reply, waited for if need be."""
    return answer if isinstance(answer, Reply) else await answer


class Begun(NamedTuple):
    """A request that ``_answer_at_once`` has begun to answer.

    Attributes:
        request: the one.
        answer: still to be sent; or the bytes that are unsent of it. With ``b""`` all is sent, and
            the client wants no other.
    """

    request: Request
    answer: Answer | bytes


class Connection:
    """One client, from the accept to the close.

    Args:
        stream: owned by the connection from here on.
        respond: answers one request.
        settings: for limits and timeouts.
        telemetry: where errors are counted.
        turns: the line in which all connections wait to be answered.
        timeouts: those of all connections.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        respond: Respond,
        settings: Settings,
        telemetry: Telemetry,
        turns: Turns,
        timeouts: Timeouts,
    ) -> None:
        self._stream = stream
        self._tcp = stream if isinstance(stream, TcpStream) else None
        self._respond = respond
        self._telemetry = telemetry
        self._turns = turns
        self._settings = settings
        self._reader = RequestReader(
            max_header_bytes=settings.max_header_bytes,
            max_body_bytes=settings.max_body_bytes,
            heads=NO_HEADS if settings.no_fast_path else HEADS,
        )
        self._scope = trio.CancelScope()
        self._timeout = Timeout(timeouts, self._time_is_up)
        self._late = False  # the time was up, and the scope is cancelled
        # What we wait for the client to send, which the timeout is for; None while we owe it an
        # answer, which it may have a timeout to take.
        self._owed: Phase | None = None
        self._last = False  # the next reply says that it is the last
        self._idle_timeout_s = settings.idle_timeout
        # What another task has begun for ours to end: a request to answer, or one to refuse.
        self._begun: Begun | Reply | None = None

    async def serve(self) -> None:
        """Answer requests until one side ends the connection, then close it; after ``begin``.

        On cancellation the connection is closed at once.
        """
        if self._tcp is not None:
            self._tcp.send_without_delay()
        refusal = None
        try:
            with self._scope:
                refusal = await self._converse()
            if self._scope.cancelled_caught:
                if self._owed in (HEAD, BODY):
                    refusal = replies.REQUEST_TIMEOUT
                elif self._last:  # we stop, and it may have a request on its way
                    await self._linger()
            if refusal is not None:
                await self._refuse(refusal)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone; that is its right at any byte
        finally:
            self._timeout.close()
            await self._stream.aclose()

    async def _converse(self) -> Reply | None:
        """Answer requests to the last; return the refusal of what is no request."""
        while True:
            try:
                received = await self._receive_request()
            except Refused as refused:
                return refused.reply
            if received is None:
                return None
            if isinstance(received, Begun):
                request, answer = received
            else:
                await self._turns.take()
                request, answer = received, self._answer(received)
            head = request.head
            if isinstance(answer, bytes):
                goes_on = head.keep_alive
                if answer:
                    await self._send(answer)
            else:
                reply = await self._awaited(answer)
                if self._last:
                    head = replace(head, keep_alive=False)
                goes_on = head.keep_alive and not reply.close
                await self._send(self._rendered(reply, head))
            if not goes_on:
                break
            self._expect_next()
        # It asked to go on, and may not have heard yet that it shall not; or has sent more anyway.
        if request.head.keep_alive or self._is_sent_more():
            await self._linger()
        return None

    async def _receive_request(self) -> Request | Begun | None:
        """The next request, complete or already begun; None if the client has ended the connection.

        Raises:
            Refused: what has come is no request.
        """
        reader = self._reader
        while True:
            # What another task has begun comes first, then what the reader has; or neither has any.
            begun, self._begun = self._begun, None
            if isinstance(begun, Reply):
                raise Refused(begun)
            if begun is not None:
                return begun
            if not reader.idle:
                request = reader.next_request()
                if request is not None:
                    break
                # IDLE: it was empty lines that had come, and they are gone now.
                if (phase := reader.phase) is not self._owed and phase is not IDLE:
                    self._expect(phase)
                if reader.continue_due():
                    await self._stream.send_all(replies.CONTINUE)
            if reader.at_eof:
                return None
            if self._owed is None:  # only empty lines came, with the accept
                self._expect(HEAD)
            data: bytes | bytearray | None
            if self._tcp is None or not reader.idle:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            else:
                data = await self._tcp.receive_or_show(RECEIVE_BYTES, self._answer_at_once)
            if data is not None:  # else look round again
                reader.feed(data)
        if self._late:
            # Complete at the very moment of its timeout: the timeout stands, and the checkpoint
            # raises it; from here on it would hit the answer and not the client.
            await trio.lowlevel.checkpoint()
        self._nothing_owed()
        return request

    # Without our own task

    def begin(self) -> bool:
        """Answer at once what has come with the connection, if this turn has room for it.

        Returns:
            Whether that was all, and the connection is closed. If not, ``serve`` it.
        """
        try:
            data = None if self._tcp is None else self._tcp.receive_nowait(RECEIVE_BYTES)
            if data is None:
                # The header timeout runs from the accept, whether or not a first byte comes.
                self._expect(HEAD)
                return False
            if not self._turns.take_nowait():
                self._reader.feed(data)
                return False
            goes_on = self._answer_at_once(data)
            if goes_on or not self._has_ended():
                return False
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # see ``serve``
        self._timeout.close()  # it has us, and we have it: a circle
        assert self._tcp is not None
        self._tcp.close()
        return True

    def _answer_at_once(self, data: bytes) -> bool:
        """Answer a request while our task waits for one, in whichever task this is called.

        Args:
            data: what has come.

        Returns:
            Whether it is answered, and our task may wait on for the next. If not, it has to go on:
            with what is ``_begun``, or else with what the reader has.
        """
        reader, tcp = self._reader, self._tcp
        assert tcp is not None
        try:
            request = reader.receive(data)
        except Refused as refused:
            self._nothing_owed()
            self._begun = refused.reply
            return False
        if request is None:
            # Something of the next request has come in time. What the first one still owes, it owes
            # by the same moment as before.
            if not reader.idle and self._owed is IDLE:
                self._nothing_owed()
            return False
        head = request.head
        answer: Answer | bytes = self._answer(request)
        if isinstance(answer, Reply) and not (answer.close or self._last):
            rendered = self._rendered(answer, head)
            answer = rendered[tcp.send_nowait(rendered) :]
        if answer == b"" and head.keep_alive:
            self._expect_next()
            return reader.idle
        self._nothing_owed()
        self._begun = Begun(request, answer)
        return False

    def _has_ended(self) -> bool:
        """The client's last request has been answered, and nothing has come behind it."""
        begun = self._begun
        return isinstance(begun, Begun) and begun.answer == b"" and not self._is_sent_more()

    def _is_sent_more(self) -> bool:
        """There is, or may be, something behind the request: closing would reset the connection."""
        return not self._reader.idle or (self._tcp is not None and self._tcp.may_read)

    # From outside

    def finish(self) -> None:
        """Make the request that is under way, or comes next, the last: its reply says so."""
        self._last = True
        self._idle_timeout_s = LAST_CALL_S  # its reply may be on its way, and have promised more

    def dismiss(self) -> None:
        """End the connection if nothing has come of a request that would be the last."""
        if self._reader.idle and self._owed is not None:
            self._owed = IDLE
            self._time_is_up()

    async def turn_away(self, timeout_s: float) -> None:
        """Answer one request for ``/health``, and anything else with "too many connections".

        Args:
            timeout_s: for the client to send the head of its request.
        """
        reader = self._reader
        request = None
        try:
            with trio.move_on_after(timeout_s), suppress(Refused):
                while (request := reader.next_request()) is None:
                    if reader.at_eof or reader.phase is BODY:
                        break
                    reader.feed(await self._stream.receive_some(RECEIVE_BYTES))
            head = None if request is None else replace(request.head, keep_alive=False)
            if request is not None and request.head.path == b"/health":
                reply = await self._awaited(self._answer(request))
            else:
                self._telemetry.connections_refused += 1
                reply = replies.TOO_MANY_CONNECTIONS
            with trio.move_on_after(timeout_s):
                await self._send(self._rendered(reply, head))
                await self._linger()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._timeout.close()
            await self._stream.aclose()

    async def gone(self) -> None:
        """Return when the client has stopped sending or vanished; for use while it is answered.

        What it sends meanwhile is kept for its next request, so with too much of that nothing is
        read any more, and its going not noticed.
        """
        try:
            while self._reader.buffered_bytes < RECEIVE_BYTES:
                data = await self._stream.receive_some(RECEIVE_BYTES)
                self._reader.feed(data)
                if not data:
                    return
        except trio.BrokenResourceError:
            return
        await trio.sleep_forever()

    # The two places where an error of ours becomes a reply, and harms nobody else.

    def _answer(self, request: Request) -> Answer:
        try:
            return self._respond(request, self)
        except Exception:
            log.exception("a request could not be answered")
            return replies.INTERNAL_ERROR

    async def _awaited(self, answer: Answer) -> Reply:
        try:
            return await awaited(answer)
        except Exception:
            log.exception("a request could not be answered")
            return replies.INTERNAL_ERROR

    # The timeout

    def _nothing_owed(self) -> None:
        self._owed = None
        self._timeout.clear()

    def _time_is_up(self) -> None:
        if self._owed is IDLE:
            tcp = self._tcp
            if not self._reader.idle or (tcp is not None and tcp.is_sent_something()):
                # It was in time, and our task is about to be told. But not of what lies behind an
                # urgent byte, where a read ends short of it.
                self._expect(HEAD)
                return
        self._late = True
        self._scope.cancel()

    def _expect(self, phase: Phase) -> None:
        """A head, from now on, or a body."""
        settings = self._settings
        self._owed = phase
        self._timeout.set(settings.header_timeout if phase is HEAD else settings.body_timeout)

    def _expect_next(self) -> None:
        self._owed = IDLE
        self._timeout.set(self._idle_timeout_s)

    def _rendered(self, reply: Reply, head: Head | None) -> bytes:
        if reply.http_error:
            self._telemetry.ledger.http_error()
        return reply.render(head, to_head=head is None and self._reader.to_head)

    def _send_nowait(self, data: bytes) -> bytes:
        """Send what the kernel takes, nearly always all of it, and return what is left."""
        return data[self._tcp.send_nowait(data) :] if self._tcp is not None else data

    async def _send(self, data: bytes) -> None:
        if unsent := self._send_nowait(data):
            timeout_s = self._settings.write_timeout * (1 + len(unsent) // WRITE_TIMEOUT_BYTES)
            self._timeout.set(timeout_s)
            await self._stream.send_all(unsent)
            if self._late:  # taken at the very moment of its timeout, which stands
                await trio.lowlevel.checkpoint()

    async def _refuse(self, reply: Reply) -> None:
        self._owed = None
        # Behind our scope, where our own timeout has no effect.
        with trio.move_on_after(self._settings.write_timeout):
            await self._send(self._rendered(reply, None))
            await self._linger()

    async def _linger(self) -> None:
        self._nothing_owed()
        if not isinstance(self._stream, trio.abc.HalfCloseableStream):
            return
        with trio.move_on_after(LINGER_S):
            await self._stream.send_eof()
            unread = LINGER_BYTES
            while unread > 0 and (data := await self._stream.receive_some(RECEIVE_BYTES)):
                unread -= len(data)
