"""asyncio: a Protocol is told, by whichever event comes next."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from trio_stages.compare.scenarios.s27_client_gone_unnoticed import NOTICED, WAITS

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


class Connection(asyncio.Protocol):
    """One client, by its events."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """A request, which waits for as long as the client does."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._wait())

    def connection_lost(self, error: Exception | None) -> None:
        """However it went: a close, a reset, a timeout of the kernel."""
        self._core.recorder.mark("task: connection 1", NOTICED)
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait(self) -> None:
        with self._core.task("connection") as lane:
            self._core.recorder.mark(lane, WAITS)
            await asyncio.Event().wait()


async def run(core: Core) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: Connection(core), "127.0.0.1", 0)
    core.listening(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()


def main(core: Core) -> None:
    """The process."""
    asyncio.run(run(core))
