"""Quart-Trio: Flask's manners on Trio, for Hypercorn."""

from __future__ import annotations

import trio
from quart import Response, request
from quart_trio import QuartTrio

from .service import CAPACITY, WORKER_IS_ON, Event, answer, apply

app = QuartTrio(__name__)
send_jobs, receive_jobs = trio.open_memory_channel[Event](CAPACITY)


async def worker() -> None:
    async for event in receive_jobs:
        apply(event)


@app.before_serving
async def start_worker() -> None:
    if WORKER_IS_ON:
        app.nursery.start_soon(worker)


@app.post("/")
async def events() -> Response:
    status, body = answer(await request.get_data(), send_jobs.send_nowait, trio.WouldBlock)
    return Response(body, status, mimetype="application/json")
