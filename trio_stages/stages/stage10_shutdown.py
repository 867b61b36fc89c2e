"""Stage 10: graceful shutdown, in the reverse order of starting.

Pain: a stop loses what is queued, though it had been accepted.
Idea: three nurseries, one inside the other: connections, workers, background. A stop turns the
readiness to 503 and ends the innermost: the listener closes, requests under way are answered. Then
the sending end of the channel closes; the workers empty it, meet its end and leave; the background
goes last. One cancel scope around it all has the deadline. A second signal cancels at once.
Still hurts: what is in memory dies with the process; a ``kill -9`` asks nobody.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_stages import replies
from trio_stages.admission import wait_for_place
from trio_stages.events import InvalidEvent, parse_event
from trio_stages.heartbeat import heartbeat
from trio_stages.joblog import JobLog
from trio_stages.jobs import Job
from trio_stages.metrics import Metrics
from trio_stages.routes import Routes
from trio_stages.server import Listener, serve_http
from trio_stages.state import OffloadedReads, TaskBalances, ThreadBalances, open_balances
from trio_stages.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_stages.connection import Answer, Client
    from trio_stages.ledger import Ledger
    from trio_stages.messages import Request
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {
    "work_ms": 10.0,
    "hold_ms": 1.0,
    "capacity": 1000,
    "workers": 16,
    "state": "sharded",
}


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
    if telemetry.draining:
        ledger.reject(job)
        return replies.SHUTTING_DOWN
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
    balances: ThreadBalances,
    work: Work,
    telemetry: Telemetry,
    job_log: JobLog,
    number: int,
    job: Job,
) -> None:
    """Process one job in a thread, under the lock that guards its user."""
    settings = telemetry.settings
    work.in_thread(settings.work_s)
    with balances.entry(job.event.user) as entry:
        work.in_thread(settings.hold_s)
        balance = telemetry.ledger.apply(job, entry.add)
    job_log.job(number, job, balance, entry.times)


async def process_in_task(
    balances: TaskBalances,
    work: Work,
    telemetry: Telemetry,
    job_log: JobLog,
    number: int,
    job: Job,
) -> None:
    """Process one job in a task, under the lock that guards its user."""
    settings = telemetry.settings
    if settings.work_ms:
        await work.in_task(settings.work_s)
    async with balances.entry(job.event.user) as entry:
        if settings.hold_ms:
            await work.in_task(settings.hold_s)
        balance = telemetry.ledger.apply(job, entry.add)
    job_log.job(number, job, balance, entry.times)


async def worker(
    number: int,
    jobs: trio.MemoryReceiveChannel[Job],
    process: Callable[[int, Job], Awaitable[None]],
    ledger: Ledger,
    metrics: Metrics,
) -> None:
    """Process jobs one after the other, until the channel is closed and empty, or cancelled."""
    async with jobs:
        async for job in ledger.taking(jobs):
            with ledger.settling(job):
                await process(number, job)
            metrics.served(number, job)


async def serve(
    listener: Listener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[Callable[[], None]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or gracefully stopped by the function that ``started`` hands out."""
    settings, ledger = telemetry.settings, telemetry.ledger
    balances = open_balances(
        settings.state, settings.offload, shards=settings.shards, times=telemetry.lock
    )
    telemetry.peek_balances = balances.peek
    work = Work(settings)
    job_log = JobLog(ledger, telemetry.lock)
    metrics = Metrics(telemetry)

    if isinstance(balances, ThreadBalances):
        limiter = trio.CapacityLimiter(settings.workers)

        async def process(number: int, job: Job) -> None:
            await trio.to_thread.run_sync(
                process_in_thread,
                balances,
                work,
                telemetry,
                job_log,
                number,
                job,
                limiter=limiter,
            )
    else:
        process = partial(process_in_task, balances, work, telemetry, job_log)

    send_jobs, receive_jobs = trio.open_memory_channel[Job](settings.capacity)
    with ledger.dropping(receive_jobs), trio.CancelScope() as drain:

        def stop_gracefully() -> None:
            if not telemetry.draining:
                telemetry.begin_draining()
                drain.deadline = trio.current_time() + settings.drain_timeout

        async with trio.open_nursery() as background:
            background.start_soon(heartbeat)
            background.start_soon(work.wake_threads_on_cancel)
            background.start_soon(job_log.report_throughput)
            background.start_soon(job_log.report_locks, balances.statistics)
            background.start_soon(metrics.loop_lag.watch)
            async with trio.open_nursery() as workers:
                for number in range(settings.workers):
                    receiver = receive_jobs.clone()
                    workers.start_soon(worker, number, receiver, process, ledger, metrics)
                reads = (
                    OffloadedReads(balances) if isinstance(balances, ThreadBalances) else balances
                )
                routes = Routes(telemetry, partial(handle, send_jobs, telemetry), reads, metrics)
                async with send_jobs, trio.open_nursery() as connections:
                    await connections.start(
                        serve_http, listener, routes.respond, telemetry, telemetry.drain_begun
                    )
                    task_status.started(stop_gracefully)
            background.cancel_scope.cancel()
