"""Trio: the handler waits, and does not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_stages.compare.scenarios.s27_client_gone_unnoticed import WAITS
from trio_stages.compare.shells.trio import RECEIVE_BYTES

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


async def connection(
    core: Core, jobs: trio.MemorySendChannel[Job], stream: trio.SocketStream
) -> None:
    """Read a request, and wait."""
    with core.task("connection") as lane:
        async with stream:
            await stream.receive_some(RECEIVE_BYTES)
            core.recorder.mark(lane, WAITS)
            await trio.sleep_forever()
