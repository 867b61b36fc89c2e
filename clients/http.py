"""A small, fast HTTP/1.1 client for measuring: one connection, one request at a time.

A load generator on a full HTTP library measures the library. This one sends prebuilt bytes with
one ``send``, takes the reply with (usually) one ``recv``, and remembers what it made of those exact
bytes, so that of 5,000 equal replies only a few are parsed.

Rules:

1. A reply is remembered only if it was complete and consumed every byte: the same bytes then
   always mean the same reply.
2. Bytes beyond a reply that nobody asked for are an error: a reply to some neighbour, perhaps.
3. After an error, a cancellation or ``Connection: close`` the socket is gone, and the next request
   opens a new one: a reply that comes late is never taken for the answer to another request.
4. A socket whose last request began more than ``LOOK_AFTER_S`` ago is looked at before another is
   sent: if the server has closed it, as it may, a new one takes its place; bytes that nobody asked
   for are an error, as by rule 2. In quick succession nobody looks: it would cost a tenth of the
   client's time, and a stray reply would hardly be there yet.
"""

from __future__ import annotations

import errno
import math
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from .replies import BadReply, Reply, parse_reply

if TYPE_CHECKING:
    from types import TracebackType

RECEIVE_BYTES = 65_536
# Date changes every second: dozens of distinct replies are normal, a thousand is only a limit.
REMEMBERED_REPLIES = 1024
# For the requests beside a load (/stats, /balances); the load itself waits without limit.
CONTROL_TIMEOUT_S = 10.0
# Shorter than the idle timeout of any server, and longer than a load at full speed takes to reply.
LOOK_AFTER_S = 1.0

_remembered: dict[bytes, Reply] = {}


class ClientError(Exception):
    """One line for the person at the terminal; the command ends with exit status 1."""


class NoReply(ClientError):
    """The connection ended before the reply did.

    Attributes:
        sent: whether any byte of the request may have reached the server. If not, the server
            cannot have acted on it; if so, nobody knows.
    """

    def __init__(self, target: Target, reason: str, *, sent: bool) -> None:
        super().__init__(f"no reply from {target.url}: {reason}")
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Target:
    """A server, looked up once.

    Attributes:
        url: as given.
        host: what goes into the Host header.
        family: ``socket.AF_INET`` or ``AF_INET6``.
        address: what ``socket.connect`` takes.
    """

    url: str
    host: str
    family: int
    address: Any

    @classmethod
    async def locate(cls, url: str) -> Target:
        """Parse ``http://host:port`` and resolve the host, IPv4 first.

        Raises:
            ClientError: the URL is not of that form, or the host is unknown.
        """
        try:
            parts = urlsplit(url)
            port = 80 if parts.port is None else parts.port
        except ValueError as error:
            raise ClientError(f"{url}: {error}") from None
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise ClientError(f"{url}: not of the form http://host:port")
        try:
            found = await trio.socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ClientError(f"{url}: {error.strerror or error}") from None
        except UnicodeError:
            raise ClientError(f"{url}: {parts.hostname} is not a host name") from None
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        return cls(url, parts.netloc.rpartition("@")[2], family, address)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, close: bool = False
    ) -> bytes:
        """The bytes of one request; with ``close`` it asks for the connection to end after it."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if close:
            head += "Connection: close\r\n"
        return head.encode() + b"\r\n" + (body or b"")


class Connection:
    """A connection to one server, opened by the first request and again whenever it has ended.

    For one task at a time. A context manager that closes it; cancelling a request closes it too.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._socket: socket.socket | None = None
        self._last_s = -math.inf  # when the last request began: one look at the clock, not two

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether the next request goes over a connection that exists."""
        return self._socket is not None

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def request(self, message: bytes) -> Reply:
        """Send the bytes of one request and wait for its reply, however long that takes.

        A checkpoint, always. Nothing is sent twice.

        Raises:
            NoReply: the connection could not be opened, ended too soon, or brought no HTTP.
        """
        sent = 0
        failure: OSError | BadReply
        try:
            sock = self._kept() or await self._open()
            while sent < len(message):
                try:
                    sent += sock.send(message[sent:] if sent else message)
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(sock)
            data = await _receive(sock)
            reply = _remembered.get(data) or await _parse(sock, data)
        except (OSError, BadReply) as error:
            self.close()
            failure = error
        except BaseException:
            self.close()
            raise
        else:
            if reply.close:
                self.close()
            return reply
        await trio.lowlevel.checkpoint()
        raise _translate(failure, self.target, sent=sent > 0)

    async def get_json(self, path: str, *, timeout_s: float = CONTROL_TIMEOUT_S) -> Any:
        """GET a path; once more if a connection that was left idle turns out to have ended.

        Returns:
            The decoded JSON; None for what the server does not have or is not JSON.

        Raises:
            NoReply: see ``request``; also when there is none within ``timeout_s`` seconds.
            ClientError: a 5xx, which says nothing about what the server has.
        """
        message = self.target.request("GET", path)
        idle = self.is_open
        with trio.move_on_after(timeout_s):
            try:
                reply = await self.request(message)
            except NoReply:
                if not idle:
                    raise
                reply = await self.request(message)
            if reply.status >= 500:
                raise ClientError(f"GET {path}: {reply.status} {reply.body[:80]!r}")
            return reply.json() if reply.status == 200 else None
        raise NoReply(self.target, f"nothing within {timeout_s:g} s", sent=True)

    def _kept(self) -> socket.socket | None:
        sock, before_s = self._socket, self._last_s
        self._last_s = trio.current_time()
        if sock is not None and self._last_s - before_s > LOOK_AFTER_S and _ended(sock):
            self.close()
        return self._socket

    async def _open(self) -> socket.socket:
        self._socket = sock = socket.socket(self.target.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(self.target.address)
        if code == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        return sock


async def connect(target: Target) -> trio.SocketStream:
    """A bare connection, for what is not meant to be a request.

    Raises:
        ClientError: there is no server, or there are no more sockets here.
    """
    try:
        sock = trio.socket.socket(target.family)
        try:
            await sock.connect(target.address)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise _translate(error, target, sent=False) from None
    return trio.SocketStream(sock)


async def read_reply(stream: trio.abc.ReceiveStream) -> Reply:
    """Wait for one reply on a bare connection.

    Raises:
        BadReply: it ended before, or this is no reply.
        trio.BrokenResourceError: it was reset.
    """
    data, reply = b"", None
    while reply is None:
        more = await stream.receive_some()
        data += more
        reply = parse_reply(data, eof=not more)
    return reply


def _translate(failure: OSError | BadReply, target: Target, *, sent: bool) -> ClientError:
    if isinstance(failure, BadReply):
        return NoReply(target, str(failure), sent=sent)
    if failure.errno in (errno.EMFILE, errno.ENFILE):
        return ClientError("too many open files here: raise the limit, ulimit -n")
    return NoReply(target, failure.strerror or str(failure), sent=sent)


def _ended(sock: socket.socket) -> bool:
    try:
        stray = sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:  # reset
        return True
    if stray:
        raise BadReply("bytes after the reply")
    return True


async def _receive(sock: socket.socket) -> bytes:
    # Waiting comes first: the reply is hardly ever there already, and it is the checkpoint.
    while True:
        await trio.lowlevel.wait_readable(sock)
        try:
            return sock.recv(RECEIVE_BYTES)
        except BlockingIOError:  # woken for nothing
            continue


async def _parse(sock: socket.socket, data: bytes) -> Reply:
    reply = parse_reply(data, eof=not data)
    if reply is not None:
        if len(_remembered) >= REMEMBERED_REPLIES:
            _remembered.clear()
        _remembered[data] = reply
        return reply
    while reply is None:
        more = await _receive(sock)
        data += more
        reply = parse_reply(data, eof=not more)
    return reply
