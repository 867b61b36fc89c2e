"""TCP with as few turns of the event loop, and calls of the kernel, as it can do with.

Every call of Trio's own ``SocketStream`` and ``SocketListener`` is a checkpoint, and each of these
is a turn of the event loop, whether or not there was anything to wait for. Here

1. ``receive_some`` waits for news (``readiness.py``), then reads. A read that finds nothing, or
   less than it had room for, has read all there was: the next one waits, unless the end has been
   announced. Behind one that finds more the others have a turn before the next.
   ``receive_or_show`` shows it to somebody in the task that brings the news: what needs no more
   than an answer has it there, and the one that waits is not woken.
2. ``send_all`` writes, then waits: what fits the kernel's buffer is no checkpoint.
3. Whoever has waited for one client takes all that have come; and before anything is set up to wait
   for its request, ``receive_nowait`` finds out whether it is there already.

So a connection gives way to the others once for all that it reads at a time, and where work is in
hand it also waits in line before each answer (``turns.py``).
"""

from __future__ import annotations

import errno
import logging
import math
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .readiness import Readiness

RECEIVE_BYTES = 65_536
# The errors of accept(2) that pass when somebody else lets go of something (as in Trio's own
# serve_listeners), and how long to give them.
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
OUT_OF_RESOURCES_PAUSE_S = 0.1
# "Already-pending network errors on the new socket", says the manual of accept(2): that client has
# gone, take the next.
GONE_MEANWHILE = {
    *(errno.ECONNABORTED, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EPERM),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ECONNRESET, errno.ETIMEDOUT, errno.ESOCKTNOSUPPORT, errno.EPROTONOSUPPORT),
}

log = logging.getLogger(__name__)

AnyStream = TypeVar("AnyStream", bound=trio.abc.Stream)


class TcpStream(trio.abc.HalfCloseableStream):
    """One connection.

    Whatever receives or sends raises ``trio.BrokenResourceError`` when the client has vanished, and
    ``trio.ClosedResourceError`` when the stream is, or meanwhile gets, closed.

    Args:
        connection: owned by the stream from here on.
        readiness: tells when to read.
    """

    def __init__(self, connection: socket.socket, readiness: Readiness) -> None:
        connection.setblocking(False)
        self.socket = connection
        self._readiness = readiness
        #: Whether there may be something, if only the end, that has not been read.
        self.may_read = True
        self._end_is_near = False
        self._waiting: trio.lowlevel.Task | None = None
        self._room = RECEIVE_BYTES
        self._show: Callable[[bytes], bool] | None = None  # to whom, while the task waits
        self._failed = False  # to read, for the task that waits
        self._was_full = False  # the last read, and somebody else shall have a turn before the next
        self._has_waited = False
        self._is_told = False  # by the readiness, from the first wait on
        self._trio_has_it = False  # somebody waits, or has waited, by Trio's own means

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait until there is something, and return it; ``b""`` is the end."""
        self._room = max_bytes or RECEIVE_BYTES
        while (data := await self._what_is_there()) is None:
            await self._news()
        return data

    async def receive_or_show(self, max_bytes: int, show: Callable[[bytes], bool]) -> bytes | None:
        """``receive_some`` what is there already; what comes only later is shown to somebody.

        Args:
            max_bytes: that are returned, or shown at a time.
            show: called with each piece, in the task that brings the news; says whether this may
                wait on.

        Returns:
            What was there, or None: it is the caller's turn. The last piece has been shown, and
            this may not wait on; or there may be more, to be received.
        """
        self._room = max_bytes
        data = await self._what_is_there()
        if data is None:
            await self._news(show)
            if self._failed:
                raise self._fate()
        return data

    async def _what_is_there(self) -> bytes | None:
        if not self.may_read:
            return None
        if self._was_full:
            await trio.lowlevel.checkpoint()
        data = self._receive_nowait()
        self._was_full = data is not None and len(data) == self._room
        return data

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Return what is there; ``b""`` is the end, and None if there is nothing yet."""
        self._room = max_bytes
        return self._receive_nowait()

    def _receive_nowait(self) -> bytes | None:
        try:
            data = self.socket.recv(self._room)
        except BlockingIOError:
            # No data, and no end either: the one that was told of was that of an earlier connection
            # with our number.
            self.may_read = self._end_is_near = False
            return None
        except OSError as error:
            raise self._fate() from error
        if 0 < len(data) < self._room:
            self.may_read = self._end_is_near
        return data

    def is_sent_something(self) -> bool:
        """Something has come that nobody has read, whether or not the readiness has told of it."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def send_without_delay(self) -> None:
        """There will be more than one reply, and none shall wait for the receipt of another."""
        with suppress(OSError):  # no TCP, or some systems refuse if the client has gone already
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_nowait(self, data: bytes | bytearray | memoryview) -> int:
        """Send what the kernel takes at once, and return how many bytes that was."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._fate() from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send it, waiting only for what the kernel does not take; cancelled, some is sent."""
        while (sent := self.send_nowait(data)) < len(data):
            data = memoryview(data)[sent:]
            await self.wait_send_all_might_not_block()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes at least some."""
        self._trio_has_it = True
        try:
            await trio.lowlevel.wait_writable(self.socket)
        except (OSError, ValueError) as error:
            raise self._fate() from error

    async def send_eof(self) -> None:
        """End the sending half."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._fate() from error

    async def aclose(self) -> None:
        """Close it at once, cancelled or not."""
        self.close()

    def close(self) -> None:
        """Close it at once."""
        if self.socket.fileno() >= 0:
            if self._trio_has_it:
                trio.lowlevel.notify_closing(self.socket)
            if self._is_told:
                self._readiness.forget(self.socket)
            self.socket.close()
            self._tell(True)

    async def _news(self, show: Callable[[bytes], bool] | None = None) -> None:
        if not self._has_waited:
            self._has_waited = True
            try:
                self._is_told = self._readiness.register(self.socket, self._tell)
            except OSError as error:
                log.warning("cannot wait for a client: %s; it has to go", error.strerror)
                raise self._fate() from error
        if not self._is_told:
            self._trio_has_it = True
            await trio.lowlevel.wait_readable(self.socket)
            self.may_read = True
            return

        self._show = show
        self._waiting = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._no_news)

    def _no_news(self, _: object) -> trio.lowlevel.Abort:
        self._waiting = self._show = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _tell(self, end_is_near: bool) -> bool:
        """There is something to read, if only the end; say whether somebody has been shown it."""
        self.may_read = True
        self._end_is_near |= end_is_near
        if self._waiting is None:
            return False
        show, waits_on = self._show, False
        if show is not None:
            try:
                data = self._receive_nowait()
                waits_on = data is None or show(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._failed = True
        # Nobody will tell of what was too much for one read: the task itself has to look for it.
        if self.may_read or not waits_on:
            trio.lowlevel.reschedule(self._waiting)
            # A circle, otherwise: the connection has us, and what it shows things to has it.
            self._waiting = self._show = None
        return show is not None

    def _fate(self) -> trio.ClosedResourceError | trio.BrokenResourceError:
        # A closed socket has no number; the kernel and Trio each have their own error for that.
        closed = self.socket.fileno() < 0
        return trio.ClosedResourceError() if closed else trio.BrokenResourceError()


async def accept(listener: trio.abc.Listener[AnyStream]) -> AnyStream:
    """Return the next connection; wait while the process is out of file descriptors."""
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            await _wait_for_resources(error)


async def _wait_for_resources(error: OSError) -> None:
    if error.errno not in OUT_OF_RESOURCES:
        raise error
    log.warning("cannot accept a connection: %s; trying again", error.strerror)
    await trio.sleep(OUT_OF_RESOURCES_PAUSE_S)


class Arrivals:
    """The clients that come to a listener; a context manager.

    Args:
        listener: for TCP, or any other. It stays its owner's, to be closed after the block.
        readiness: of the connections.
    """

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream], readiness: Readiness) -> None:
        self._listener = listener
        self._readiness = readiness
        self._socket: socket.socket | None = None
        if isinstance(listener, trio.SocketListener):
            self._socket = socket.socket(fileno=listener.socket.fileno())

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            self._socket.detach()

    async def wait(self, most: int) -> list[trio.abc.Stream]:
        """Wait for a client; return it and those that have come with it.

        While the process is out of file descriptors it goes on waiting. On cancellation no client
        is lost: who has not been taken is still in the kernel's queue.

        Args:
            most: that are returned; 1 or more.
        """
        if self._socket is None:
            return [await accept(self._listener)]
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                if clients := self.take(most):
                    return clients
            except OSError as error:
                await _wait_for_resources(error)

    def take_the_last(self) -> list[trio.abc.Stream]:
        """Take what the kernel has queued, as far as there are file descriptors for it."""
        try:
            return self.take(math.inf)
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            log.warning("cannot accept the last connections: %s", error.strerror)
            return []

    def take(self, most: float) -> list[trio.abc.Stream]:
        """Take what the kernel has queued, without waiting.

        Args:
            most: that are taken; the others stay in the queue.

        Raises:
            OSError: there is something, but nothing could be taken.
        """
        clients: list[trio.abc.Stream] = []
        while self._socket is not None and len(clients) < most:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in GONE_MEANWHILE:
                    continue
                if clients:
                    break
                raise
            clients.append(TcpStream(connection, self._readiness))
        return clients
