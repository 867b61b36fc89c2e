"""anyio: leaving the blocks undoes the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core

LONG_S = 3600.0


async def work(core: Core) -> None:
    """A worker whose first job will not come for a long time."""
    with core.task("worker"):
        await anyio.sleep(LONG_S)


async def start(core: Core) -> None:
    """Workers, socket, warm-up."""
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(work, core)
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            core.listening(listener.extra(anyio.abc.SocketAttribute.local_port))
            await anyio.sleep_forever()  # the warm-up


async def run(core: Core, timeout_s: float, observe: Callable[[], None]) -> None:
    """Start a server, give up, and look what is left."""
    with core.store:
        with anyio.move_on_after(timeout_s):
            await start(core)
        core.recorder.event("cancel", "server", "timeout")
        await anyio.to_thread.run_sync(observe)


def main(core: Core, timeout_s: float, observe: Callable[[], None]) -> None:
    """The process."""
    anyio.run(run, core, timeout_s, observe)
