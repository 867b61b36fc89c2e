"""The operations on anyio, hosted by asyncio: Trio's structure, asyncio's event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio.abc import SocketAttribute, SocketStream

from .clients import IdleClients

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .clock import Clock, Facts

CAPACITY = 100
LOCK_TASKS = 10


def run(
    operation: Callable[[int, Clock], Awaitable[Facts | None]], count: int, clock: Clock
) -> Facts:
    """Run one operation ``count`` times in an event loop of its own, and return its facts."""
    return anyio.run(operation, count, clock) or {}


async def checkpoint(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await anyio.lowlevel.checkpoint()
    clock.stop()


async def channel_nowait(count: int, clock: Clock) -> None:
    send, receive = anyio.create_memory_object_stream[int](CAPACITY)
    clock.start()
    for item in range(count):
        send.send_nowait(item)
        receive.receive_nowait()
    clock.stop()
    send.close()
    receive.close()


async def channel(count: int, clock: Clock) -> None:
    send, receive = anyio.create_memory_object_stream[int](CAPACITY)

    async def produce() -> None:
        for item in range(count):
            await send.send(item)

    async with anyio.create_task_group() as group:
        clock.start()
        group.start_soon(produce)
        for _ in range(count):
            await receive.receive()
        clock.stop()
    send.close()
    receive.close()


async def hand_over(count: int, clock: Clock) -> None:
    send_there, receive_there = anyio.create_memory_object_stream[int](1)
    send_back, receive_back = anyio.create_memory_object_stream[int](1)

    async def partner() -> None:
        for _ in range(count):
            await send_back.send(await receive_there.receive())

    async with anyio.create_task_group() as group:
        clock.start()
        group.start_soon(partner)
        for item in range(count):
            await send_there.send(item)
            await receive_back.receive()
        clock.stop()
    for end in (send_there, receive_there, send_back, receive_back):
        end.close()


async def lock(count: int, clock: Clock) -> None:
    lock = anyio.Lock()
    clock.start()
    for _ in range(count):
        async with lock:
            pass
    clock.stop()


async def contended_lock(count: int, clock: Clock) -> None:
    lock = anyio.Lock()

    async def contender() -> None:
        for _ in range(count // LOCK_TASKS):
            async with lock:
                await anyio.lowlevel.checkpoint()

    clock.start()
    async with anyio.create_task_group() as group:
        for _ in range(LOCK_TASKS):
            group.start_soon(contender)
    clock.stop()


async def timeout(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        with anyio.fail_after(10):
            await anyio.lowlevel.checkpoint()
    clock.stop()


async def spawn(count: int, clock: Clock) -> None:
    async def task() -> None:
        pass

    clock.start()
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(task)
    clock.stop()


async def thread(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await anyio.to_thread.run_sync(int)
    clock.stop()


async def cancel(count: int, clock: Clock) -> Facts:
    waiting, everybody = 0, anyio.Event()

    async def task() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            everybody.set()
        try:
            await anyio.sleep_forever()
        finally:
            waiting -= 1

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(task)
        await everybody.wait()
        clock.start()
        group.cancel_scope.cancel()
    clock.stop()
    return {"tasks left": waiting}


async def stop(count: int, clock: Clock) -> Facts:
    handling, everybody = 0, anyio.Event()

    async def handle(stream: SocketStream) -> None:
        nonlocal handling
        handling += 1
        if handling == count:
            everybody.set()
        try:
            async with stream:
                await stream.receive()
        finally:
            handling -= 1

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=count)
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as connections:
        connections.start_soon(listener.serve, handle)
        clients = await anyio.to_thread.run_sync(IdleClients, port, count)
        await everybody.wait()
        clock.start()
        connections.cancel_scope.cancel()
    clock.stop()
    return {"handlers left": handling, "connections left": clients.still_open()}
