"""Stage 6: several workers on one channel, each job in a thread.

Pain: one worker, two jobs a second, whatever is offered.
Idea: a nursery of workers, each with its own clone of the channel's receiving end; whichever is
free takes the next job and runs it in a thread, as work that blocks must be. The limiter has a
thread for each worker. With ``--offload task`` the job stays in the worker's task: the same four
at a time, unless it burns CPU.
Still hurts: they share one lock. Four do not notice; what will sixteen do?
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_stages import replies
from trio_stages.admission import wait_for_place
from trio_stages.events import InvalidEvent, parse_event
from trio_stages.heartbeat import heartbeat
from trio_stages.jobs import Job
from trio_stages.routes import Routes
from trio_stages.server import Listener, serve_http
from trio_stages.state.plain import PlainBalances
from trio_stages.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_stages.connection import Answer, Client
    from trio_stages.ledger import Ledger
    from trio_stages.messages import Request
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {"work_ms": 500.0, "capacity": 100, "workers": 4}


def handle(
    jobs: trio.MemorySendChannel[Job],
    telemetry: Telemetry,
    request: Request,
    client: Client,
) -> Answer:
    """Answer one event at once: it has a place in the queue, or there is none."""
    ledger, settings = telemetry.ledger, telemetry.settings
    try:
        event = parse_event(request.body)
    except InvalidEvent as invalid:
        ledger.invalid()
        return replies.invalid_json(invalid.detail)
    job = Job(event)
    try:
        jobs.send_nowait(job)
    except trio.WouldBlock:
        if settings.overflow == "wait":
            return wait_for_place(job, jobs, client, telemetry)
        ledger.reject(job)
        return replies.busy(telemetry.retry_after_s())
    ledger.accept(job, handed_over=ledger.idle_workers > 0)
    return replies.ACCEPTED


def process_in_thread(
    balances: PlainBalances, lock: threading.Lock, work: Work, telemetry: Telemetry, job: Job
) -> None:
    """Process one job in a thread, under a lock for threads."""
    work.in_thread(telemetry.settings.work_s)
    with lock:
        telemetry.ledger.apply(job, partial(balances.add, job.event.user))


async def process_in_task(
    balances: PlainBalances, lock: trio.Lock, work: Work, telemetry: Telemetry, job: Job
) -> None:
    """Process one job in a task, under a lock for tasks."""
    if telemetry.settings.work_ms:
        await work.in_task(telemetry.settings.work_s)
    async with lock:
        telemetry.ledger.apply(job, partial(balances.add, job.event.user))


async def worker(
    jobs: trio.MemoryReceiveChannel[Job], process: Callable[[Job], Awaitable[None]], ledger: Ledger
) -> None:
    """Process jobs one after the other, until cancelled."""
    async with jobs:
        async for job in ledger.taking(jobs):
            with ledger.settling(job):
                await process(job)


async def serve(
    listener: Listener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; what is queued or in hand is then abandoned."""
    settings, ledger = telemetry.settings, telemetry.ledger
    balances = PlainBalances()
    telemetry.peek_balances = balances.copy
    work = Work(settings)
    if settings.offload == "thread":
        thread_lock, limiter = threading.Lock(), trio.CapacityLimiter(settings.workers)

        async def process(job: Job) -> None:
            await trio.to_thread.run_sync(
                process_in_thread, balances, thread_lock, work, telemetry, job, limiter=limiter
            )
    else:
        process = partial(process_in_task, balances, trio.Lock(), work, telemetry)

    send_jobs, receive_jobs = trio.open_memory_channel[Job](settings.capacity)
    with ledger.dropping(receive_jobs):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heartbeat)
            nursery.start_soon(work.wake_threads_on_cancel)
            for _ in range(settings.workers):
                nursery.start_soon(worker, receive_jobs.clone(), process, ledger)
            routes = Routes(telemetry, partial(handle, send_jobs, telemetry), balances)
            await serve_http(listener, routes.respond, telemetry, task_status=task_status)
