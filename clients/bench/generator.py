"""Our own load generator, for where wrk is not installed: ``python -m clients.bench.generator``.

One thread, epoll, prebuilt bytes: it only counts. A reply is told by its status line; how many of
them have come is all that a closed loop needs to know. A connection that is closed instead of a
reply is an error, and so is one that still waits in vain at the end. Prints a JSON object, as
``load.lua`` does.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import json
import math
import select
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from .loads import LENGTHS, PIPELINED, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECEIVE_BYTES = 65_536
# The start of a reply: none of the bodies that the servers send contains it.
STATUS = b"HTTP/1.1 "
LINE_BYTES = len(STATUS) + len("200")
# Who has waited for so long at the end, and for longer than every reply took, waits in vain.
PATIENCE_S = 1.0
# Latencies are counted by the hundredth of a millisecond.
RESOLUTION_S = 1e-5


def event(user: str) -> bytes:
    """A valid event; alice's is the canonical one."""
    return json.dumps(
        {"user": user, "action": "buy", "amount": 100}, separators=(",", ":")
    ).encode()


def message(host: str, body: bytes, extra: str = "") -> bytes:
    """One request."""
    head = (
        f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


def messages(shape: Shape, host: str, users: int = 1) -> Iterator[bytes]:
    """What a load of this shape sends, without end."""
    alice = event("alice")
    if shape == "unique":
        return (message(host, alice, f"X-Request-Id: {n}\r\n") for n in itertools.count(1))
    if shape == "varying":
        made = [message(host, event("u" * length)) for length in range(1, LENGTHS + 1)]
    elif shape == "pipelined":
        made = [message(host, alice) * PIPELINED]
    elif shape == "close":
        made = [message(host, alice, "Connection: close\r\n")]
    elif users > 1:
        made = [message(host, event(f"user{n}")) for n in range(users)]
    else:
        made = [message(host, alice)]
    return itertools.cycle(made)


def percentile_ms(counts: Mapping[int, int], share: float) -> float:
    """Of latencies counted by ``RESOLUTION_S``, nearest rank; 0 of none."""
    rank = math.ceil(share * sum(counts.values()))
    for step, count in sorted(counts.items()):
        rank -= count
        if rank <= 0:
            return step * RESOLUTION_S * 1000
    return 0.0


class Client:
    """One connection's half-done exchange."""

    __slots__ = ("owed", "rest", "sent_s", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.owed = 0
        self.sent_s = 0.0
        self.rest = b""

    def statuses(self, data: bytes) -> list[bytes]:
        """Those that are complete with this; half a line is kept while another is owed."""
        if self.rest:
            data = self.rest + data
        found, end = [], 0
        start = data.find(STATUS)
        while 0 <= start <= len(data) - LINE_BYTES:
            end = start + LINE_BYTES
            found.append(data[start + len(STATUS) : end])
            start = data.find(STATUS, end)
        self.owed -= len(found)
        self.rest = data[max(end, len(data) - LINE_BYTES + 1) :] if self.owed > 0 else b""
        return found


class Generator:
    """A closed loop over a number of connections.

    Args:
        address: of the server.
        shape: what it sends.
        connections: how many.
        users: whose events, where the shape is ``same``.
    """

    def __init__(
        self, address: tuple[str, int], shape: Shape, connections: int, users: int = 1
    ) -> None:
        self._address = address
        self._messages = messages(shape, f"{address[0]}:{address[1]}", users)
        self._each = PIPELINED if shape == "pipelined" else 1
        self._close = shape == "close"
        self._connections = connections
        self._clients: dict[int, Client] = {}
        self._news = select.epoll()
        self.statuses: Counter[bytes] = Counter()
        self.latencies: Counter[int] = Counter()
        self.errors = 0

    def run(self, seconds: float) -> float:
        """Send for so long, then close; return how long it was, in seconds."""
        for _ in range(self._connections):
            self._open()
        started_s = now_s = time.perf_counter()
        until_s = started_s + seconds
        for client in list(self._clients.values()):
            self._send(client, started_s)
        while now_s < until_s:
            ready = self._news.poll(until_s - now_s)
            now_s = time.perf_counter()
            for number, _ in ready:
                self._receive(self._clients[number], now_s)
        longest_s = max(self.latencies, default=0) * RESOLUTION_S
        for client in self._clients.values():
            waited_s = now_s - client.sent_s
            self.errors += client.owed > 0 and waited_s > max(PATIENCE_S, longest_s)
            client.socket.close()
        self._news.close()
        return now_s - started_s

    def _open(self) -> Client:
        connection = socket.create_connection(self._address, timeout=10)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = self._clients[connection.fileno()] = Client(connection)
        self._news.register(connection, select.EPOLLIN)
        return client

    def _again(self, client: Client, now_s: float) -> None:
        del self._clients[client.socket.fileno()]
        client.socket.close()
        try:
            self._send(self._open(), now_s)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.EADDRNOTAVAIL):
                raise
            self.errors += 1

    def _send(self, client: Client, now_s: float) -> None:
        # Requests are small: a new or an idle connection always has room for them.
        client.socket.send(next(self._messages))
        client.owed, client.sent_s = self._each, now_s

    def _receive(self, client: Client, now_s: float) -> None:
        try:
            data = client.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            # After the last reply it is the server's right to close.
            self.errors += client.owed > 0
            self._again(client, now_s)
            return
        for status in client.statuses(data):
            self.statuses[status] += 1
        if client.owed <= 0:
            self.latencies[int((now_s - client.sent_s) / RESOLUTION_S)] += 1
            if self._close:
                self._again(client, now_s)
            else:
                self._send(client, now_s)

    def summary(self, duration_s: float) -> dict[str, Any]:
        """The object that is printed."""
        accepted = sum(n for status, n in self.statuses.items() if status.startswith(b"2"))
        replies = self.statuses.total()
        return {
            "replies": replies,
            "refused": replies - accepted,
            "errors": self.errors,
            "duration_s": duration_s,
            "p50_ms": percentile_ms(self.latencies, 0.50),
            "p99_ms": percentile_ms(self.latencies, 0.99),
        }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m clients.bench.generator")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("shape", choices=get_args(Shape))
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--users", type=int, default=1)
    options = parser.parse_args()
    generator = Generator(
        (options.host, options.port), options.shape, options.connections, options.users
    )
    print(json.dumps(generator.summary(generator.run(options.seconds))))


if __name__ == "__main__":
    main()
