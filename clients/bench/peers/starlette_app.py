"""Starlette: a request and a response object, routing, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .service import CAPACITY, Event, answer, drain

queue: asyncio.Queue[Event] = asyncio.Queue(CAPACITY)


async def events(request: Request) -> Response:
    status, body = answer(await request.body(), queue.put_nowait, asyncio.QueueFull)
    return Response(body, status, media_type="application/json")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    worker = asyncio.create_task(drain(queue))
    yield
    worker.cancel()


app = Starlette(routes=[Route("/", events, methods=["POST"])], lifespan=lifespan)
