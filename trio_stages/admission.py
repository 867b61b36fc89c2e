"""The other policy of a full queue: instead of refusing a job, let its sender wait for a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio_util import move_on_when

from .jobs import Job, JobState

if TYPE_CHECKING:
    from .connection import Client
    from .ledger import Ledger


async def wait_for_place(
    job: Job, jobs: trio.MemorySendChannel[Job], client: Client, ledger: Ledger
) -> None:
    """Put a job into the channel, however long that takes, unless its client leaves meanwhile.

    On cancellation the job is rejected: it was never accepted.

    Raises:
        trio.WouldBlock: the client has left (or at least stopped sending, which looks the same from
            here); the job is still waiting, for the caller to reject, and to say so to a client
            that may yet be reading.
    """
    try:
        jobs.send_nowait(job)
    except trio.WouldBlock:
        ledger.wait(job)
    else:
        # ``send`` would do the same, but has a checkpoint behind it: there a job that went straight
        # to a worker would seem to be queued.
        ledger.accept(job, handed_over=ledger.idle_workers > 0)
        return
    try:
        async with move_on_when(client.gone):
            await jobs.send(job)
            ledger.accept(job)
    except BaseException:
        if job.state is JobState.WAITING:
            ledger.reject(job)
        raise
    if job.state is JobState.WAITING:
        raise trio.WouldBlock
