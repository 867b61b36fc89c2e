"""Bare ASGI on Trio, for Hypercorn."""

from __future__ import annotations

import trio

from .asgi import Receive, Scope, Send, lifespan, read_body, reply
from .service import CAPACITY, WORKER_IS_ON, Event, answer, apply

send_jobs, receive_jobs = trio.open_memory_channel[Event](CAPACITY)


async def worker() -> None:
    async for event in receive_jobs:
        apply(event)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        async with trio.open_nursery() as nursery:
            if WORKER_IS_ON:
                nursery.start_soon(worker)
            await lifespan(receive, send)
            nursery.cancel_scope.cancel()
    elif scope["type"] == "http":
        status, body = answer(await read_body(receive), send_jobs.send_nowait, trio.WouldBlock)
        await reply(send, status, body)
