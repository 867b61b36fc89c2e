"""The operations on asyncio as it was written before 3.11: ``create_task``, ``gather``.

What is imported is the same code as in ``modern``: where the two columns differ there, that is the
noise of the measurement.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .clients import IdleClients
from .modern import LOCK_TASKS, channel, channel_nowait, checkpoint, hand_over, lock, run

if TYPE_CHECKING:
    from .clock import Clock, Facts

__all__ = ["channel", "channel_nowait", "checkpoint", "hand_over", "lock", "run"]


async def contended_lock(count: int, clock: Clock) -> None:
    lock = asyncio.Lock()

    async def contender() -> None:
        for _ in range(count // LOCK_TASKS):
            async with lock:
                await asyncio.sleep(0)

    clock.start()
    await asyncio.gather(*(contender() for _ in range(LOCK_TASKS)))
    clock.stop()


async def timeout(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await asyncio.wait_for(asyncio.sleep(0), 10)
    clock.stop()


async def spawn(count: int, clock: Clock) -> None:
    async def task() -> None:
        pass

    clock.start()
    tasks = [asyncio.create_task(task()) for _ in range(count)]
    await asyncio.gather(*tasks)
    clock.stop()


async def thread(count: int, clock: Clock) -> None:
    loop = asyncio.get_running_loop()
    clock.start()
    for _ in range(count):
        await loop.run_in_executor(None, int)
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
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    clock.stop()
    return {"tasks left": waiting}


async def stop(count: int, clock: Clock) -> Facts:
    handling, everybody = 0, asyncio.Event()
    connections = set[asyncio.Task[None]]()

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
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=count)
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    clients = await loop.run_in_executor(None, IdleClients, port, count)
    await everybody.wait()
    clock.start()
    server.close()
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    clock.stop()
    return {"handlers left": handling, "connections left": clients.still_open()}
