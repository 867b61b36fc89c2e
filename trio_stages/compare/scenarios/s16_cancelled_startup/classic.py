"""asyncio: what has been started stays, unless somebody undoes it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core

LONG_S = 3600.0


def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Nobody is to be served yet."""
    writer.close()


async def work(core: Core) -> None:
    """A worker whose first job will not come for a long time."""
    with core.task("worker"):
        await asyncio.sleep(LONG_S)


async def start(core: Core) -> None:
    """Workers, socket, warm-up."""
    workers = [asyncio.create_task(work(core)) for _ in range(2)]
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        core.listening(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()  # the warm-up
        await server.serve_forever()
    await asyncio.gather(*workers)


async def run(core: Core, timeout_s: float, observe: Callable[[], None]) -> None:
    """Start a server, give up, and look what is left."""
    with core.store:
        with suppress(TimeoutError):
            await asyncio.wait_for(start(core), timeout_s)
        core.recorder.event("cancel", "server", "timeout")
        await asyncio.to_thread(observe)


def main(core: Core, timeout_s: float, observe: Callable[[], None]) -> None:
    """The process."""
    asyncio.run(run(core, timeout_s, observe))
