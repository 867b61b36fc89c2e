"""The ingest server on asyncio, by its documentation since 3.11: TaskGroup, timeout, to_thread."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from trio_stages.jobs import Job
from trio_stages.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_stages.compare.core import Core, Part
    from trio_stages.compare.recorder import Traced
    from trio_stages.messages import Request

RECEIVE_BYTES = 65_536


def handle(core: Core, jobs: asyncio.Queue[Job], request: Request) -> Reply:
    """Answer one event as soon as it has a place in the queue, or has none."""
    job = core.parse(request)
    if isinstance(job, Reply):
        return job
    try:
        jobs.put_nowait(job)
    except asyncio.QueueFull:
        return core.reject(job)
    return core.accept(job)


async def connection(
    core: Core,
    jobs: asyncio.Queue[Job],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Answer one client, until one side has had enough."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        try:
            while not conversation.over:
                data = await reader.read(RECEIVE_BYTES)
                writer.write(conversation.feed(data))
                await writer.drain()
        except ConnectionError:
            pass  # the client has gone
        finally:
            writer.close()


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Apply one job: one at a time, in a thread, and only for so long."""
    async with lock:
        async with asyncio.timeout(core.options.job_timeout_s):
            await asyncio.to_thread(core.apply, job)


async def worker(
    core: Core, jobs: asyncio.Queue[Job], process: Callable[[Job], Awaitable[None]]
) -> None:
    """Process jobs one after the other, until cancelled."""
    with core.task("worker"):
        while True:
            job = await jobs.get()
            for _ in range(core.options.attempts):
                try:
                    await process(job)
                    break
                except TimeoutError:
                    core.too_slow(job)
            jobs.task_done()


async def serve(
    core: Core,
    stop: asyncio.Event,
    *,
    process: Part = process,
    connection: Part = connection,
) -> None:
    """Serve until told to stop; then let the workers finish what is queued, for a while."""
    jobs = asyncio.Queue[Job](core.options.capacity)
    lock = core.traced(asyncio.Lock())
    with core.store:
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(worker(core, jobs, partial(process, core, lock)))
                for _ in range(core.options.workers)
            ]
            connections = set[asyncio.Task[None]]()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = group.create_task(connection(core, jobs, reader, writer))
                connections.add(task)
                task.add_done_callback(connections.discard)

            server = await asyncio.start_server(accept, "127.0.0.1", core.options.port)
            core.listening(server.sockets[0].getsockname()[1])
            try:
                await stop.wait()
            finally:
                server.close()  # no wait_closed while there are clients: S2
            for task in connections:
                task.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(core.options.drain_s):
                    await jobs.join()
            for task in workers:
                task.cancel()


async def run(core: Core, **parts: Part) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()

    def stop_on_signal() -> None:
        core.stopping()
        stop.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop_on_signal)
    await serve(core, stop, **parts)


def main(core: Core, **parts: Part) -> None:
    """The process: return when it has ended."""
    asyncio.run(run(core, **parts))
