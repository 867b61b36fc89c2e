"""Clients for ``stop``: real loopback connections that are open, and idle."""

from __future__ import annotations

import resource
import select
import socket

# Beyond two for each connection: the listener, the loop's own, the interpreter's.
OTHER_DESCRIPTORS = 64


def possible_connections(wanted: int) -> int:
    """Raise this process's limit on descriptors if need be.

    Args:
        wanted: connections of which the process is to hold both ends.

    Returns:
        As many of them as the limit then allows.
    """
    needed = 2 * wanted + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return min(wanted, (limit - OTHER_DESCRIPTORS) // 2)


class IdleClients:
    """So many connections to a port of 127.0.0.1, which say nothing. Blocks: for a thread."""

    def __init__(self, port: int, count: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]

    def still_open(self) -> int:
        """Close them all, and return how many of them the server had not yet closed."""
        poll = select.poll()
        for client in self._sockets:
            poll.register(client, select.POLLIN)
        closed = len(poll.poll(0))
        for client in self._sockets:
            client.close()
        return len(self._sockets) - closed
