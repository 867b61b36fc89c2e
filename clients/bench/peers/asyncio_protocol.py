"""The limit: an asyncio Protocol, httptools' C parser and uvloop, with nothing between them.

No timeout, no limit on anything, no flow control: what nobody would put on the open internet.
``python -m clients.bench.peers.asyncio_protocol PORT``
"""

from __future__ import annotations

import asyncio
import sys
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast

import httptools
import uvloop

from .service import CAPACITY, Event, answer, drain

queue: asyncio.Queue[Event] = asyncio.Queue(CAPACITY)
BACKLOG = 2048


@lru_cache(maxsize=16)
def render(status: int, body: bytes, keep_alive: bool, second: int) -> bytes:
    """A whole reply; there are few, and each is rendered once a second."""
    fields = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Date: {formatdate(second, usegmt=True)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([] if keep_alive else ["Connection: close"]),
    )
    return "\r\n".join((*fields, "", "")).encode() + body


class EventProtocol(asyncio.Protocol):
    """One connection; the parser calls the ``on_…`` methods."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class, not a subclass
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        status, body = answer(self.body, queue.put_nowait, asyncio.QueueFull)
        keep_alive = self.parser.should_keep_alive()
        self.transport.write(render(status, body, keep_alive, int(time.time())))
        if not keep_alive:
            self.transport.close()


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(EventProtocol, "127.0.0.1", port, backlog=BACKLOG)
    async with server, asyncio.TaskGroup() as group:
        group.create_task(drain(queue))
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
