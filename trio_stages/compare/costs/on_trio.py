"""The operations on Trio. The neighbours have the same names in the same order: diff them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

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
    return trio.run(operation, count, clock) or {}


async def checkpoint(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await trio.lowlevel.checkpoint()
    clock.stop()


async def channel_nowait(count: int, clock: Clock) -> None:
    send, receive = trio.open_memory_channel[int](CAPACITY)
    clock.start()
    for item in range(count):
        send.send_nowait(item)
        receive.receive_nowait()
    clock.stop()


async def channel(count: int, clock: Clock) -> None:
    send, receive = trio.open_memory_channel[int](CAPACITY)

    async def produce() -> None:
        for item in range(count):
            await send.send(item)

    async with trio.open_nursery() as nursery:
        clock.start()
        nursery.start_soon(produce)
        for _ in range(count):
            await receive.receive()
        clock.stop()


async def hand_over(count: int, clock: Clock) -> None:
    send_there, receive_there = trio.open_memory_channel[int](1)
    send_back, receive_back = trio.open_memory_channel[int](1)

    async def partner() -> None:
        for _ in range(count):
            await send_back.send(await receive_there.receive())

    async with trio.open_nursery() as nursery:
        clock.start()
        nursery.start_soon(partner)
        for item in range(count):
            await send_there.send(item)
            await receive_back.receive()
        clock.stop()


async def lock(count: int, clock: Clock) -> None:
    lock = trio.Lock()
    clock.start()
    for _ in range(count):
        async with lock:
            pass
    clock.stop()


async def contended_lock(count: int, clock: Clock) -> None:
    lock = trio.Lock()

    async def contender() -> None:
        for _ in range(count // LOCK_TASKS):
            async with lock:
                await trio.lowlevel.checkpoint()

    clock.start()
    async with trio.open_nursery() as nursery:
        for _ in range(LOCK_TASKS):
            nursery.start_soon(contender)
    clock.stop()


async def timeout(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        with trio.fail_after(10):
            await trio.lowlevel.checkpoint()
    clock.stop()


async def spawn(count: int, clock: Clock) -> None:
    async def task() -> None:
        pass

    clock.start()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(task)
    clock.stop()


async def thread(count: int, clock: Clock) -> None:
    clock.start()
    for _ in range(count):
        await trio.to_thread.run_sync(int)
    clock.stop()


async def cancel(count: int, clock: Clock) -> Facts:
    waiting, everybody = 0, trio.Event()

    async def task() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            everybody.set()
        try:
            await trio.sleep_forever()
        finally:
            waiting -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(task)
        await everybody.wait()
        clock.start()
        nursery.cancel_scope.cancel()
    clock.stop()
    return {"tasks left": waiting}


async def stop(count: int, clock: Clock) -> Facts:
    handling, everybody = 0, trio.Event()

    async def handle(stream: trio.SocketStream) -> None:
        nonlocal handling
        handling += 1
        if handling == count:
            everybody.set()
        try:
            async with stream:
                await stream.receive_some()
        finally:
            handling -= 1

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=count)
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as connections:
        connections.start_soon(trio.serve_listeners, handle, listeners)
        clients = await trio.to_thread.run_sync(IdleClients, port, count)
        await everybody.wait()
        clock.start()
        connections.cancel_scope.cancel()
    clock.stop()
    return {"handlers left": handling, "connections left": clients.still_open()}
