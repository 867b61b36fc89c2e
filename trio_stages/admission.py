"""The other policy of a full queue: instead of refusing a job, let its sender wait for a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio_util import move_on_when, wait_any

from . import replies
from .jobs import Job, JobState

if TYPE_CHECKING:
    from .connection import Client
    from .replies import Reply
    from .telemetry import Telemetry


async def wait_for_place(
    job: Job, jobs: trio.MemorySendChannel[Job], client: Client, telemetry: Telemetry
) -> Reply:
    """Put a job into the channel, however long that takes.

    Unless its client leaves meanwhile, or the server is told to stop gracefully: what has not been
    accepted by then is new work. On cancellation the job is rejected: it was never accepted.

    Returns:
        Accepted; shutting down; or busy, if the client has left (or at least stopped sending, which
        looks the same from here, so that somebody may yet be reading).
    """
    ledger = telemetry.ledger
    if telemetry.drain_begun.is_set():
        ledger.reject(job)
        return replies.SHUTTING_DOWN
    try:
        # Once more, for it may be a while since the queue was full. ``send`` would do the same, but
        # has a checkpoint behind it: there a job that went straight to a worker would seem queued.
        jobs.send_nowait(job)
    except trio.WouldBlock:
        ledger.wait(job)
    else:
        ledger.accept(job, handed_over=ledger.idle_workers > 0)
        return replies.ACCEPTED
    try:
        async with move_on_when(wait_any, client.gone, telemetry.drain_begun.wait):
            await jobs.send(job)
            ledger.accept(job)
    finally:
        if left := job.state is JobState.WAITING:
            ledger.reject(job)
    if not left:
        return replies.ACCEPTED
    if telemetry.drain_begun.is_set():
        return replies.SHUTTING_DOWN
    return replies.busy(telemetry.retry_after_s())
