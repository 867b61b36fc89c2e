"""Bare ASGI on asyncio, for uvicorn and granian."""

from __future__ import annotations

import asyncio

from .asgi import Receive, Scope, Send, lifespan, read_body, reply
from .service import CAPACITY, Event, answer, drain

queue: asyncio.Queue[Event] = asyncio.Queue(CAPACITY)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        worker = asyncio.create_task(drain(queue))
        await lifespan(receive, send)
        worker.cancel()
    elif scope["type"] == "http":
        status, body = answer(await read_body(receive), queue.put_nowait, asyncio.QueueFull)
        await reply(send, status, body)
