"""Stage 5: a bounded channel between the connections and one worker.

Pain: everybody waits for slow work with the connection open, and nothing bounds how many.
Idea: ``handle`` puts the event into a channel of 100 and answers at once; a worker takes it out.
When the channel is full the client is told so, in milliseconds: backpressure is honesty.
Still hurts: one worker, two jobs a second, whatever is offered.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from trio_stages.connection import Answer, Client
    from trio_stages.messages import Request
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {"work_ms": 500.0, "capacity": 100}


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


async def worker(
    jobs: trio.MemoryReceiveChannel[Job],
    balances: PlainBalances,
    lock: trio.Lock,
    telemetry: Telemetry,
) -> None:
    """Process jobs one after the other, until cancelled."""
    ledger, settings = telemetry.ledger, telemetry.settings
    async for job in ledger.taking(jobs):
        with ledger.settling(job):
            await trio.sleep(settings.work_s)
            async with lock:
                ledger.apply(job, partial(balances.add, job.event.user))


async def serve(
    listener: Listener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; what is queued or in hand is then abandoned."""
    balances = PlainBalances()
    telemetry.peek_balances = balances.copy
    send_jobs, receive_jobs = trio.open_memory_channel[Job](telemetry.settings.capacity)
    with telemetry.ledger.dropping(receive_jobs):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heartbeat)
            nursery.start_soon(worker, receive_jobs, balances, trio.Lock(), telemetry)
            routes = Routes(telemetry, partial(handle, send_jobs, telemetry), balances)
            await serve_http(listener, routes.respond, telemetry, task_status=task_status)
