"""Stage 4: balances behind one ``trio.Lock``, and work inside it.

Pain: nothing is done with the events yet.
Idea: each request takes the lock, works 500 ms, updates the balance, answers.
Still hurts: two requests a second, however many clients there are: concurrent is not parallel, and
everybody waits for the lock with the connection open. With ``--blocking-sleep`` the work is done by
``time.sleep``: the same two a second, and now the whole loop is frozen again.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_stages import replies
from trio_stages.events import InvalidEvent, parse_event
from trio_stages.heartbeat import heartbeat
from trio_stages.jobs import Job
from trio_stages.routes import Routes
from trio_stages.server import Listener, serve_http
from trio_stages.signals import interruptible
from trio_stages.state.plain import PlainBalances

if TYPE_CHECKING:
    from trio_stages.connection import Client
    from trio_stages.messages import Request
    from trio_stages.replies import Reply
    from trio_stages.telemetry import Telemetry

DEFAULTS: dict[str, object] = {"work_ms": 500.0}


async def handle(
    balances: PlainBalances,
    lock: trio.Lock,
    telemetry: Telemetry,
    request: Request,
    client: Client,
) -> Reply:
    """Answer one event when it has been applied. A client that leaves does not cancel its event."""
    ledger, settings = telemetry.ledger, telemetry.settings
    try:
        event = parse_event(request.body)
    except InvalidEvent as invalid:
        ledger.invalid()
        return replies.invalid_json(invalid.detail)
    job = Job(event)
    ledger.accept(job)
    with ledger.settling(job):
        async with lock:
            ledger.take(job)
            if settings.blocking_sleep:
                interruptible(time.sleep, settings.work_s)
                await trio.lowlevel.checkpoint()
            else:
                await trio.sleep(settings.work_s)
            return replies.processed(ledger.apply(job, partial(balances.add, event.user)))
    return replies.INTERNAL_ERROR


async def serve(
    listener: Listener,
    telemetry: Telemetry,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; events that still wait for the lock are then abandoned."""
    balances = PlainBalances()
    telemetry.peek_balances = balances.copy
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat)
        routes = Routes(telemetry, partial(handle, balances, trio.Lock(), telemetry), balances)
        await serve_http(listener, routes.respond, telemetry, task_status=task_status)
