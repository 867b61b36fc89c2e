"""The ingest server on anyio, running on asyncio: Trio's structure on asyncio's event loop."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from trio_stages.jobs import Job
from trio_stages.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from trio_stages.compare.core import Core, Part
    from trio_stages.compare.recorder import Traced
    from trio_stages.messages import Request

RECEIVE_BYTES = 65_536


def handle(core: Core, jobs: MemoryObjectSendStream[Job], request: Request) -> Reply:
    """Answer one event as soon as it has a place in the queue, or has none."""
    job = core.parse(request)
    if isinstance(job, Reply):
        return job
    try:
        jobs.send_nowait(job)
    except anyio.WouldBlock:
        return core.reject(job)
    return core.accept(job)


async def connection(
    core: Core, jobs: MemoryObjectSendStream[Job], stream: anyio.abc.SocketStream
) -> None:
    """Answer one client, until one side has had enough."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        async with stream:
            try:
                while not conversation.over:
                    try:
                        data = await stream.receive(RECEIVE_BYTES)
                    except anyio.EndOfStream:
                        data = b""
                    await stream.send(conversation.feed(data))
            except anyio.BrokenResourceError:
                pass  # the client has gone


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Apply one job: one at a time, in a thread, and only for so long."""
    async with lock:
        with anyio.fail_after(core.options.job_timeout_s):
            await anyio.to_thread.run_sync(core.apply, job)


async def worker(
    core: Core, jobs: MemoryObjectReceiveStream[Job], process: Callable[[Job], Awaitable[None]]
) -> None:
    """Process jobs one after the other, until there are no more, or cancelled."""
    with core.task("worker"):
        async for job in jobs:
            for _ in range(core.options.attempts):
                try:
                    await process(job)
                    break
                except TimeoutError:
                    core.too_slow(job)


async def serve(
    core: Core,
    stop: anyio.Event,
    *,
    process: Part = process,
    connection: Part = connection,
) -> None:
    """Serve until told to stop; then let the workers finish what is queued, for a while."""
    send_jobs, receive_jobs = anyio.create_memory_object_stream[Job](core.options.capacity)
    lock = core.traced(anyio.Lock())
    with core.store, receive_jobs, anyio.CancelScope() as drain:
        async with anyio.create_task_group() as workers:
            for _ in range(core.options.workers):
                workers.start_soon(worker, core, receive_jobs, partial(process, core, lock))
            listener = await anyio.create_tcp_listener(
                local_host="127.0.0.1", local_port=core.options.port
            )
            async with listener, send_jobs, anyio.create_task_group() as connections:
                connections.start_soon(listener.serve, partial(connection, core, send_jobs))
                core.listening(listener.extra(anyio.abc.SocketAttribute.local_port))
                await stop.wait()
                drain.deadline = anyio.current_time() + core.options.drain_s
                connections.cancel_scope.cancel()


async def run(core: Core, **parts: Part) -> None:
    """Serve until SIGTERM."""
    stop = anyio.Event()
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with anyio.create_task_group() as group:

            async def stop_on_signal() -> None:
                async for _ in signals:
                    core.stopping()
                    stop.set()

            group.start_soon(stop_on_signal)
            await serve(core, stop, **parts)
            group.cancel_scope.cancel()


def main(core: Core, **parts: Part) -> None:
    """The process: return when it has ended."""
    anyio.run(partial(run, core, **parts))
