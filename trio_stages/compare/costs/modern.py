"""The operations on asyncio as it is written since 3.11: ``TaskGroup``, ``timeout``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .clients import IdleClients

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from .clock import Clock, Facts

CAPACITY = 100
LOCK_TASKS = 10


def run(
    operation: Callable[[int, Clock], Coroutine[Any, Any, Facts | None]], count: int, clock: Clock
) -> Facts:
    """Run one operation ``count`` times in an event loop of its own, and return its facts."""
    return asyncio.run(operation(count, clock)) or {}


async def checkpoint(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await asyncio.sleep(0)
    clock.stop()


async def channel_nowait(count: int, clock: Clock) -> None:
    queue = asyncio.Queue[int](CAPACITY)
    clock.start()
    for item in range(count):
        queue.put_nowait(item)
        queue.get_nowait()
    clock.stop()


async def channel(count: int, clock: Clock) -> None:
    queue = asyncio.Queue[int](CAPACITY)

    async def produce() -> None:
        for item in range(count):
            await queue.put(item)

    async with asyncio.TaskGroup() as group:
        clock.start()
        group.create_task(produce())
        for _ in range(count):
            await queue.get()
        clock.stop()


async def hand_over(count: int, clock: Clock) -> None:
    there = asyncio.Queue[int](1)
    back = asyncio.Queue[int](1)

    async def partner() -> None:
        for _ in range(count):
            await back.put(await there.get())

    async with asyncio.TaskGroup() as group:
        clock.start()
        group.create_task(partner())
        for item in range(count):
            await there.put(item)
            await back.get()
        clock.stop()


async def lock(count: int, clock: Clock) -> None:
    lock = asyncio.Lock()
    clock.start()
    for _ in range(count):
        async with lock:
            pass
    clock.stop()


async def contended_lock(count: int, clock: Clock) -> None:
    lock = asyncio.Lock()

    async def contender() -> None:
        for _ in range(count // LOCK_TASKS):
            async with lock:
                await asyncio.sleep(0)

    clock.start()
    async with asyncio.TaskGroup() as group:
        for _ in range(LOCK_TASKS):
            group.create_task(contender())
    clock.stop()


async def timeout(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
    clock.stop()


async def spawn(count: int, clock: Clock) -> None:
    async def task() -> None:
        pass

    clock.start()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(task())
    clock.stop()


async def thread(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await asyncio.to_thread(int)
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

    async def tasks() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(task())

    parent = asyncio.create_task(tasks())
    await everybody.wait()
    clock.start()
    parent.cancel()
    await asyncio.wait([parent])
    clock.stop()
    return {"tasks left": waiting}


async def stop(count: int, clock: Clock) -> Facts:
    handling, everybody = 0, asyncio.Event()

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

    async def serve(listening: asyncio.Future[int]) -> None:
        async with asyncio.TaskGroup() as connections:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                connections.create_task(handle(reader, writer))

            server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=count)
            listening.set_result(server.sockets[0].getsockname()[1])
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()

    listening = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(listening))
    clients = await asyncio.to_thread(IdleClients, await listening, count)
    await everybody.wait()
    clock.start()
    serving.cancel()
    await asyncio.wait([serving])
    clock.stop()
    return {"handlers left": handling, "connections left": clients.still_open()}
