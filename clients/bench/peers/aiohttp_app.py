"""aiohttp's own server: ``python -m clients.bench.peers.aiohttp_app PORT [uvloop]``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from .service import CAPACITY, Event, answer, drain

queue: asyncio.Queue[Event] = asyncio.Queue(CAPACITY)


async def events(request: web.Request) -> web.Response:
    status, body = answer(await request.read(), queue.put_nowait, asyncio.QueueFull)
    return web.Response(body=body, status=status, content_type="application/json")


async def background(app: web.Application) -> AsyncIterator[None]:  # noqa: ASYNC900
    worker = asyncio.create_task(drain(queue))
    yield
    worker.cancel()


def main(port: int, *, uvloop: bool) -> None:
    app = web.Application()
    app.router.add_post("/", events)
    app.cleanup_ctx.append(background)
    loop = None
    if uvloop:
        import uvloop as fast

        loop = fast.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    main(int(sys.argv[1]), uvloop="uvloop" in sys.argv[2:])
