"""``python -m trio_stages.compare.costs.load PORT CONNECTIONS COUNT KIND``: requests, one by one.

A closed loop on non-blocking sockets with prebuilt bytes, in a process of its own: the next request
of a connection goes out when its reply is in. It parses nothing but the length of the first reply,
so that the server is what is measured. Prints when the first request went out and when the last
reply came in, on the clock that all processes share.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

from trio_stages.compare.trial import request

REQUESTS = {
    "requests": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "events": request("load"),
}
# Requests before the clock starts, so that every line of the server has run.
WARM_UP = 20
# Without a reply the server has stopped, or its event loop.
PATIENCE_S = 10.0


class Connection:
    """One connection, with a request on its way."""

    def __init__(self, port: int, data: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = data
        self._received = b""

    def send(self) -> None:
        """Send the next request; it is short enough to go out whole."""
        self.socket.sendall(self._data)

    def receive(self, length: int) -> bool:
        """Take what is there; return whether that completed a reply of this length.

        Raises:
            ConnectionError: the connection has ended, or the reply is another one.
        """
        data = self.socket.recv(65_536)
        self._received += data
        if not data or not b"HTTP/1.1 2".startswith(self._received[:10]):
            raise ConnectionError(f"the server answered {self._received[:80]!r}")
        if len(self._received) < length:
            return False
        self._received = b""
        return True


def length_of_reply(port: int, data: bytes) -> int:
    """Send one request and measure its reply; all others are as long."""
    with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as file:
        sock.sendall(data)
        length = body = 0
        while (line := file.readline()) != b"\r\n":
            length += len(line)
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                body = int(value)
        return length + 2 + body


def load(port: int, connections: int, count: int, data: bytes) -> tuple[float, float]:
    """Send ``count`` requests over so many connections; return when they began and ended."""
    length = length_of_reply(port, data)
    selector = selectors.DefaultSelector()
    clients = [Connection(port, data) for _ in range(connections)]
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    began_s = 0.0
    for number in (WARM_UP - 1, count):
        began_s = time.perf_counter()
        sent = received = 0
        for client in clients[:number]:
            client.send()
            sent += 1
        while received < number:
            ready = selector.select(PATIENCE_S)
            if not ready:
                raise TimeoutError(f"no reply within {PATIENCE_S:g} s")
            for key, _ in ready:
                if key.data.receive(length):
                    received += 1
                    if sent < number:
                        key.data.send()
                        sent += 1
    return began_s, time.perf_counter()


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    port, connections, count = map(int, arguments[:3])
    began_s, ended_s = load(port, connections, count, REQUESTS[arguments[3]])
    print(json.dumps({"began_s": began_s, "ended_s": ended_s}))


if __name__ == "__main__":
    main(sys.argv[1:])
