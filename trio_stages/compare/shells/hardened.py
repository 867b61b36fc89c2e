"""The ingest server on asyncio by someone who has been burnt by what the scenarios show.

Every line that ``modern`` does without has a scenario that asks for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from trio_stages.jobs import Job
from trio_stages.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from trio_stages.compare.core import Core, Part
    from trio_stages.compare.recorder import Traced
    from trio_stages.messages import Request

RECEIVE_BYTES = 65_536

log = logging.getLogger(__name__)
T = TypeVar("T")


async def outlast(work: asyncio.Future[T]) -> T:
    """Wait for something that must not be left behind, cancelled or not (S3, S5, S8)."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()  # it has been looked at: no complaint when it is collected
        raise cancelled
    return work.result()


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """Like ``asyncio.to_thread``, but it does not return before the thread has."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await outlast(loop.run_in_executor(None, partial(context.run, function, *args)))


async def cancel_and_wait(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a single cancellation may be swallowed (S7)."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=1.0)


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
    """Answer one client, until one side has had enough; no error of it harms another (S1b)."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        try:
            while not conversation.over:
                data = await reader.read(RECEIVE_BYTES)
                writer.write(conversation.feed(data))
                await writer.drain()
        except ConnectionError:
            pass  # the client has gone
        except Exception:
            log.exception("a connection ended by an error of ours")
        finally:
            writer.close()


async def process(core: Core, lock: Traced, job: Job) -> None:
    """Apply one job: one at a time, in a thread, and only for so long."""
    async with lock:
        async with asyncio.timeout(core.options.job_timeout_s):
            await in_thread(core.apply, job)


async def worker(
    core: Core, jobs: asyncio.Queue[Job], process: Callable[[Job], Awaitable[None]]
) -> None:
    """Process jobs one after the other, until cancelled; no job kills its worker (S1)."""
    with core.task("worker"):
        while True:
            job = await jobs.get()
            try:
                for _ in range(core.options.attempts):
                    try:
                        await process(job)
                        break
                    except TimeoutError:
                        core.too_slow(job)
            except Exception:
                log.exception("a job failed")
                core.fail(job)
            finally:
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
                task.add_done_callback(lambda _: writer.close())  # it may never begin (S9)

            server = await asyncio.start_server(accept, "127.0.0.1", core.options.port)
            core.listening(server.sockets[0].getsockname()[1])
            try:
                await stop.wait()
            finally:
                server.close()  # no wait_closed while there are clients: S2
            await cancel_and_wait(connections)
            with suppress(TimeoutError):
                async with asyncio.timeout(core.options.drain_s):
                    await jobs.join()
            await cancel_and_wait(workers)


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
