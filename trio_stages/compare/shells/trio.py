"""The ingest server on Trio."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_stages.jobs import Job
from trio_stages.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_stages.compare.core import Core, Part
    from trio_stages.compare.recorder import Traced
    from trio_stages.messages import Request

RECEIVE_BYTES = 65_536


def handle(core: Core, jobs: trio.MemorySendChannel[Job], request: Request) -> Reply:
    """Answer one event as soon as it has a place in the queue, or has none."""
    job = core.parse(request)
    if isinstance(job, Reply):
        return job
    try:
        jobs.send_nowait(job)
    except trio.WouldBlock:
        return core.reject(job)
    return core.accept(job)


async def connection(
    core: Core, jobs: trio.MemorySendChannel[Job], stream: trio.SocketStream
) -> None:
    """Answer one client, until one side has had enough."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        async with stream:
            try:
                while not conversation.over:
                    data = await stream.receive_some(RECEIVE_BYTES)
                    await stream.send_all(conversation.feed(data))
            except trio.BrokenResourceError:
                pass  # the client has gone


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Apply one job: one at a time, in a thread, and only for so long."""
    async with lock:
        with trio.fail_after(core.options.job_timeout_s):
            await trio.to_thread.run_sync(core.apply, job)


async def worker(
    core: Core, jobs: trio.MemoryReceiveChannel[Job], process: Callable[[Job], Awaitable[None]]
) -> None:
    """Process jobs one after the other, until there are no more, or cancelled."""
    with core.task("worker"):
        async for job in jobs:
            for _ in range(core.options.attempts):
                try:
                    await process(job)
                    break
                except trio.TooSlowError:
                    core.too_slow(job)


async def serve(
    core: Core,
    stop: trio.Event,
    *,
    process: Part = process,
    connection: Part = connection,
) -> None:
    """Serve until told to stop; then let the workers finish what is queued, for a while."""
    send_jobs, receive_jobs = trio.open_memory_channel[Job](core.options.capacity)
    lock = core.traced(trio.Lock())
    with core.store, trio.CancelScope() as drain:
        async with trio.open_nursery() as workers:
            for _ in range(core.options.workers):
                workers.start_soon(worker, core, receive_jobs, partial(process, core, lock))
            async with send_jobs, trio.open_nursery() as connections:
                handler = partial(connection, core, send_jobs)
                listeners = await connections.start(
                    partial(trio.serve_tcp, handler, core.options.port, host="127.0.0.1")
                )
                core.listening(listeners[0].socket.getsockname()[1])
                await stop.wait()
                drain.deadline = trio.current_time() + core.options.drain_s
                connections.cancel_scope.cancel()


async def run(core: Core, **parts: Part) -> None:
    """Serve until SIGTERM."""
    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                async for _ in signals:
                    core.stopping()
                    stop.set()

            nursery.start_soon(stop_on_signal)
            await serve(core, stop, **parts)
            nursery.cancel_scope.cancel()


def main(core: Core, **parts: Part) -> None:
    """The process: return when it has ended."""
    trio.run(partial(run, core, **parts))
