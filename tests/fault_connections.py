"""The connections of one server under faults: each can be hit from either end."""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import trio
from support import MemoryListener
from trio.testing import lockstep_stream_pair, memory_stream_pair

from trio_stages.connection import Connection
from trio_stages.tcp import TcpStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

T = TypeVar("T")

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds


class Wire(trio.abc.HalfCloseableStream):
    """The server's end of a connection in memory; once reset, it is broken for whoever waits."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._broken = False
        self._calls: set[trio.CancelScope] = set()

    def reset(self) -> None:
        self._broken = True
        for call in self._calls:
            call.cancel()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._unless_broken(partial(self._stream.receive_some, max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._unless_broken(partial(self._stream.send_all, data))

    async def send_eof(self) -> None:
        await self._unless_broken(self._stream.send_eof)

    async def wait_send_all_might_not_block(self) -> None:
        await self._unless_broken(self._stream.wait_send_all_might_not_block)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _unless_broken(self, call: Callable[[], Awaitable[T]]) -> T:
        if not self._broken:
            with trio.CancelScope() as scope:
                self._calls.add(scope)
                try:
                    return await call()
                finally:
                    self._calls.discard(scope)
        raise trio.BrokenResourceError("reset by peer")


class Visit:
    """One connection while the server serves it, and its client's end.

    Attributes:
        scope: around the server's task; what a host like Hypercorn cancels when a client leaves.
    """

    def __init__(self, connection: Connection, clients_end: trio.abc.Stream | None) -> None:
        self.scope = trio.CancelScope()
        self._clients_end = clients_end
        self._wire: Wire | None = None
        if not isinstance(connection._stream, TcpStream):
            assert isinstance(connection._stream, trio.abc.HalfCloseableStream)
            connection._stream = self._wire = Wire(connection._stream)

    def leave(self) -> None:
        """The client closes its end."""
        match self._clients_end:
            case trio.SocketStream() as stream:
                stream.socket.close()
            case trio.StapledStream() as stream:
                stream.send_stream.close()
                stream.receive_stream.close()

    def reset(self) -> None:
        """The client's machine knows nothing of the connection any more."""
        if self._wire is not None:
            self._wire.reset()
        elif isinstance(self._clients_end, trio.SocketStream):
            end = self._clients_end.socket
            if end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.close()


class Door(MemoryListener):
    """A listener in memory that as a kernel does hangs up on whom it has not accepted in time."""

    def __init__(self) -> None:
        super().__init__()
        self._arrive, self._queue = trio.open_memory_channel[trio.abc.Stream | OSError](1000)

    def arrive(self, *, lockstep: bool) -> tuple[trio.StapledStream[Any, Any], trio.abc.Stream]:
        """Return the client's end of a new connection, and the server's."""
        ours, theirs = lockstep_stream_pair() if lockstep else memory_stream_pair()
        self._arrive.send_nowait(theirs)
        return ours, theirs

    def fail(self) -> None:
        """The next connection cannot be accepted for want of a file descriptor."""
        if not self.closed:
            self._arrive.send_nowait(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))

    async def accept(self) -> trio.abc.Stream:
        arrived = await self._queue.receive()
        if isinstance(arrived, OSError):
            raise arrived
        return arrived

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            while self._queue.statistics().current_buffer_used:
                arrived = self._queue.receive_nowait()
                if not isinstance(arrived, OSError):
                    await trio.aclose_forcefully(arrived)
            self._queue.close()
        await trio.lowlevel.checkpoint()


class Connections:
    """All connections of one server.

    Args:
        listener: the server's: a ``Door``, or one for TCP.

    Attributes:
        visits: what is being served, by the task that does it.
    """

    def __init__(self, listener: Door | trio.SocketListener) -> None:
        self.visits: dict[trio.lowlevel.Task, Visit] = {}
        self._listener = listener
        self._clients_ends: dict[object, trio.abc.Stream] = {}

    async def open(self, *, lockstep: bool) -> trio.abc.HalfCloseableStream:
        """Return the client's end of a new connection (``lockstep``, in memory: sending waits)."""
        if isinstance(self._listener, Door):
            ours, theirs = self._listener.arrive(lockstep=lockstep)
            self._clients_ends[theirs] = ours
            return ours
        stream = await trio.open_tcp_stream(*self._listener.socket.getsockname())
        self._clients_ends[stream.socket.getsockname()] = stream
        return stream

    @contextmanager
    def exposed(self) -> Iterator[None]:
        """Make the server's connections vulnerable while the block runs."""
        with ExitStack() as stack:
            for name in ("serve", "turn_away"):
                exposed = self._exposed(getattr(Connection, name))
                stack.enter_context(mock.patch.object(Connection, name, exposed))
            yield

    def _exposed(self, serve: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def exposed(connection: Connection, *args: Any) -> None:
            stream, task = connection._stream, trio.lowlevel.current_task()
            key: object = stream
            if isinstance(stream, TcpStream):
                try:
                    key = stream.socket.getpeername()
                except OSError:  # it has been reset
                    key = None
            self.visits[task] = visit = Visit(connection, self._clients_ends.get(key))
            try:
                with visit.scope:
                    await serve(connection, *args)
            finally:
                del self.visits[task]

        return exposed
