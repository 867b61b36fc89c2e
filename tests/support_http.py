"""What the HTTP tests share: requests as bytes, bytes in pieces, what the framing made of them.

And ``serve_http`` on its own, with any handler, over any streams; ``support.py`` has whole stages.
"""

from __future__ import annotations

import math
import random
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio
from support import Client
from trio.testing import lockstep_stream_pair, memory_stream_pair
from trio_util import AsyncValue

from trio_stages.framing import Refused, Request, RequestReader
from trio_stages.options import Settings
from trio_stages.replies import HEALTHY, Reply
from trio_stages.server import serve_http
from trio_stages.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from trio_stages.connection import Respond

POST, HOST = b"POST / HTTP/1.1", b"Host: test"
CHUNKED = b"Transfer-Encoding: chunked"
NEXT = b"GET /next HTTP/1.1\r\nHost: test\r\n\r\n"


def framed(*lines: bytes, body: bytes = b"") -> bytes:
    """A head of these lines, and what follows it."""
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def post(body: bytes, *fields: bytes) -> bytes:
    """A POST of ``body`` with its length, and further fields."""
    return framed(POST, HOST, b"Content-Length: %d" % len(body), *fields, body=body)


def chunked(*chunks: bytes, fields: Iterable[bytes] = (), trailers: bytes = b"") -> bytes:
    """A POST of ``chunks``."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return framed(POST, HOST, CHUNKED, *fields, body=body + b"0\r\n" + trailers + b"\r\n")


@dataclass
class Outcome:
    """What the framing made of some bytes.

    Attributes:
        requests: that came out.
        reason: of the refusal; None if there was none.
        fed: how many bytes had been fed when it came.
        continues: how often ``100 Continue`` was due.
    """

    requests: list[Request]
    reason: str | None = None
    fed: int = 0
    continues: int = 0

    @property
    def paths(self) -> list[bytes]:
        return [request.head.path for request in self.requests]

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]


def read(pieces: Iterable[bytes], *, reader: RequestReader | None = None) -> Outcome:
    """Feed the pieces as a connection does: all requests are taken out before the next piece.

    An empty piece is the end of the client's sending. After a refusal the rest is fed all the same,
    and must not be read.
    """
    reader = reader or RequestReader()
    outcome = Outcome([])
    for piece in pieces:
        if outcome.reason is not None:
            assert reader.receive(piece) is None
            continue
        outcome.fed += len(piece)
        try:
            request = reader.receive(piece)
            while request:
                outcome.requests.append(request)
                request = reader.next_request()
        except Refused as refused:
            outcome.reason = refused.reply.reason
        outcome.continues += reader.continue_due()
    return outcome


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def cut(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The pieces between these offsets; none of them is empty."""
    at = 0
    for end in [*sorted(cuts), len(data)]:
        if at < end <= len(data):
            yield data[at:end]
            at = end


def splits(data: bytes) -> Iterator[Iterable[bytes]]:
    """Whole, byte by byte, in two at every offset, and a few times at random (the same ones)."""
    yield [data]
    yield byte_by_byte(data)
    if len(data) < 500:
        for at in range(1, len(data)):
            yield cut(data, [at])
    chance = random.Random(7)
    for cuts in (2, 3, 5, 8, 13):
        yield cut(data, chance.choices(range(len(data) + 1), k=cuts))


class Watched(Telemetry):
    """Telemetry whose number of connections can be waited for."""

    def __init__(self, settings: Settings) -> None:
        self.connected = AsyncValue(0)
        super().__init__(settings, clock=trio.current_time)

    @property
    def connections(self) -> int:
        return int(self.connected.value)

    @connections.setter
    def connections(self, number: int) -> None:
        self.connected.value = number


class StreamListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts the streams that it is given, and raises the errors."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream | OSError](math.inf)

    @property
    def backlog(self) -> int:
        """Connections that nobody has accepted."""
        return self._receive.statistics().current_buffer_used

    def admit(self, *connections: trio.abc.Stream | OSError) -> None:
        for connection in connections:
            self._send.send_nowait(connection)

    async def accept(self) -> trio.abc.Stream:
        connection = await self._receive.receive()
        if isinstance(connection, OSError):
            raise connection
        return connection

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()


class HttpServer:
    """``serve_http`` in this process, and how it is doing.

    Attributes:
        telemetry: its own.
        stop: set it for a graceful stop.
        returned: set when it has come to its end.
        scope: cancel it for a hard stop.
    """

    def __init__(self, settings: Settings, listener: StreamListener | trio.SocketListener) -> None:
        self.telemetry = Watched(settings)
        self._listener = listener
        self.stop = trio.Event()
        self.returned = trio.Event()
        self.scope = trio.CancelScope()

    @property
    def listener(self) -> StreamListener:
        """Where streams are given to it, unless it is served over TCP."""
        assert isinstance(self._listener, StreamListener)
        return self._listener

    @property
    def http_errors(self) -> int:
        return self.telemetry.ledger.statistics().http_errors

    def connect(self, *, lockstep: bool = False) -> Client:
        """Return a client on a new connection (``lockstep``: nothing is sent before it is read)."""
        if isinstance(self._listener, trio.SocketListener):
            # Without waiting: to the loopback, and the kernel accepts.
            connection = socket.create_connection(self._listener.socket.getsockname())
            return Client(trio.SocketStream(trio.socket.from_stdlib_socket(connection)))
        ours, theirs = lockstep_stream_pair() if lockstep else memory_stream_pair()
        self.listener.admit(theirs)
        return Client(ours)

    async def all_gone(self) -> float:
        """Wait until no connection is left; return the time."""
        await self.telemetry.connected.wait_value(0)
        return trio.current_time()

    async def serve(self, respond: Respond, *, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            await serve_http(
                self._listener, respond, self.telemetry, self.stop, task_status=task_status
            )
        self.returned.set()


async def healthy(request: Request, client: object) -> Reply:
    """The shortest of handlers."""
    return HEALTHY


@asynccontextmanager
async def serving(
    respond: Respond = healthy, *, tcp: bool = False, **overrides: Any
) -> AsyncIterator[HttpServer]:
    """Run ``serve_http`` for the block, then cancel it.

    Args:
        respond: the handler.
        tcp: over sockets, and not over streams in memory.
        overrides: settings other than the defaults.
    """
    listener: StreamListener | trio.SocketListener = StreamListener()
    if tcp:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = HttpServer(Settings(stage=3, **overrides), listener)
    async with listener, trio.open_nursery() as nursery:
        await nursery.start(server.serve, respond)
        yield server
        server.scope.cancel()
    assert server.telemetry.connections == 0
