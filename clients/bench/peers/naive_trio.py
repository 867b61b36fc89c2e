"""What one writes first on Trio: a task for each connection, its SocketStream, h11, a channel.

``python -m clients.bench.peers.naive_trio PORT``
"""

from __future__ import annotations

import sys
from email.utils import formatdate

import h11
import trio

from .service import CAPACITY, WORKER_IS_ON, Event, answer, apply

RECEIVE_BYTES = 16_384


async def next_event(connection: h11.Connection, stream: trio.SocketStream) -> h11.Event | type:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await stream.receive_some(RECEIVE_BYTES))
    return event


async def handle(jobs: trio.MemorySendChannel[Event], stream: trio.SocketStream) -> None:
    connection = h11.Connection(h11.SERVER)
    async with stream:
        try:
            while True:
                body = b""
                while not isinstance(
                    event := await next_event(connection, stream),
                    h11.EndOfMessage | h11.ConnectionClosed,
                ):
                    if isinstance(event, h11.Data):
                        body += event.data
                if isinstance(event, h11.ConnectionClosed):
                    return
                status, content = answer(body, jobs.send_nowait, trio.WouldBlock)
                headers = [
                    ("Date", formatdate(usegmt=True)),
                    ("Content-Type", "application/json"),
                    ("Content-Length", str(len(content))),
                ]
                for part in (
                    h11.Response(status_code=status, headers=headers),
                    h11.Data(data=content),
                    h11.EndOfMessage(),
                ):
                    data = connection.send(part)
                    if data:
                        await stream.send_all(data)
                if connection.our_state is h11.MUST_CLOSE:
                    return
                connection.start_next_cycle()
        except (h11.RemoteProtocolError, trio.BrokenResourceError):
            pass


async def worker(jobs: trio.MemoryReceiveChannel[Event]) -> None:
    async for event in jobs:
        apply(event)


async def main(port: int) -> None:
    send_jobs, receive_jobs = trio.open_memory_channel[Event](CAPACITY)
    async with trio.open_nursery() as nursery:
        if WORKER_IS_ON:
            nursery.start_soon(worker, receive_jobs)

        async def handler(stream: trio.SocketStream) -> None:
            await handle(send_jobs, stream)

        await trio.serve_tcp(handler, port, host="127.0.0.1")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
