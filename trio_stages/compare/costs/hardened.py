"""The operations on asyncio as it is written after having been burnt.

What is imported is the same code as in ``modern``: the extra lines are about threads and ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.shells.hardened import cancel_and_wait, in_thread

from .clients import IdleClients
from .modern import (
    channel,
    channel_nowait,
    checkpoint,
    contended_lock,
    hand_over,
    lock,
    run,
    spawn,
    timeout,
)

if TYPE_CHECKING:
    from .clock import Clock, Facts

__all__ = [
    "channel",
    "channel_nowait",
    "checkpoint",
    "contended_lock",
    "hand_over",
    "lock",
    "run",
    "spawn",
    "timeout",
]

# How long the handlers may take to come to their end.
PATIENCE_S = 1.0


async def thread(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await in_thread(int)
    clock.stop()


async def cancel(count: int, clock: Clock) -> Facts:
    waiting, everybody = 0, asyncio.Event()

    async def task() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            everybody.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            waiting -= 1

    tasks = [asyncio.create_task(task()) for _ in range(count)]
    await everybody.wait()
    clock.start()
    await cancel_and_wait(tasks)
    clock.stop()
    return {"tasks left": waiting}


async def stop(count: int, clock: Clock) -> Facts:
    handling, everybody = 0, asyncio.Event()
    connections = dict[asyncio.Task[None], asyncio.StreamWriter]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal handling
        handling += 1
        if handling == count:
            everybody.set()
        try:
            await reader.read(1)
        finally:
            writer.close()
            await writer.wait_closed()
            handling -= 1

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(handle(reader, writer))
        connections[connection] = writer
        connection.add_done_callback(connections.pop)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=count)
    port = server.sockets[0].getsockname()[1]
    clients = await in_thread(IdleClients, port, count)
    await everybody.wait()
    clock.start()
    server.close()
    for connection in connections:
        connection.cancel()
    _, left = await asyncio.wait(connections, timeout=PATIENCE_S)
    for connection in left:
        connections[connection].transport.abort()  # a peer that does not read holds up nothing
    await cancel_and_wait(left)
    clock.stop()
    return {"handlers left": handling, "connections left": clients.still_open()}
