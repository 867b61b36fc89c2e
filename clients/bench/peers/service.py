"""What the peers share: the event, the queue's capacity, the replies, the worker's step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trio_stages.events import Event

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

CAPACITY = 1000
ACCEPTED = b'{"status":"accepted"}'
BUSY = b'{"status":"rejected","reason":"server_busy"}'
INVALID = b'{"status":"error","reason":"invalid_json"}'
# A worker that never takes a job: for the tests, which want to see the queue full.
WORKER_IS_ON = os.environ.get("BENCH_WORKER", "on") != "off"

__all__ = ["ACCEPTED", "BUSY", "CAPACITY", "INVALID", "WORKER_IS_ON", "Event"]

balances: dict[str, int] = {}


def apply(event: Event) -> None:
    """Do the job."""
    balances[event.user] = balances.get(event.user, 0) + event.amount


async def drain(queue: asyncio.Queue[Event]) -> None:
    """The worker on asyncio: ``get`` of a queue that has something does not give way."""
    while WORKER_IS_ON:
        apply(await queue.get())


def answer(body: bytes, put: Callable[[Event], None], full: type[Exception]) -> tuple[int, bytes]:
    """Validate and queue the event of one request; return the status and the body of its reply."""
    try:
        put(Event.model_validate_json(body))
    except ValueError:  # pydantic's ValidationError is one
        return 400, INVALID
    except full:
        return 503, BUSY
    return 202, ACCEPTED
