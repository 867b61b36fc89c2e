"""Trio: leaving the blocks undoes the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core

LONG_S = 3600.0


async def work(core: Core) -> None:
    """A worker whose first job will not come for a long time."""
    with core.task("worker"):
        await trio.sleep(LONG_S)


async def start(core: Core) -> None:
    """Workers, socket, warm-up."""
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(work, core)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listeners[0] as listener:
            core.listening(listener.socket.getsockname()[1])
            await trio.sleep_forever()  # the warm-up


async def run(core: Core, timeout_s: float, observe: Callable[[], None]) -> None:
    """Start a server, give up, and look what is left."""
    with core.store:
        with trio.move_on_after(timeout_s):
            await start(core)
        core.recorder.event("cancel", "server", "timeout")
        await trio.to_thread.run_sync(observe)


def main(core: Core, timeout_s: float, observe: Callable[[], None]) -> None:
    """The process."""
    trio.run(run, core, timeout_s, observe)
