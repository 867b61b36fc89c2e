"""A ceiling: Trio's own streams, and a constant reply to whatever comes. No HTTP, no event.

``python -m clients.bench.peers.trio_echo PORT``
"""

from __future__ import annotations

import sys

import trio

from .raw_epoll import REPLY


async def handler(stream: trio.SocketStream) -> None:
    try:
        async for _ in stream:
            await stream.send_all(REPLY)
    except trio.BrokenResourceError:
        pass


if __name__ == "__main__":
    trio.run(trio.serve_tcp, handler, int(sys.argv[1]))
