"""anyio: the handler waits, and does not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.abc

from trio_stages.compare.scenarios.s27_client_gone_unnoticed import WAITS
from trio_stages.compare.shells.anyio import RECEIVE_BYTES

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


async def connection(
    core: Core, jobs: MemoryObjectSendStream[Job], stream: anyio.abc.SocketStream
) -> None:
    """Read a request, and wait."""
    with core.task("connection") as lane:
        async with stream:
            await stream.receive(RECEIVE_BYTES)
            core.recorder.mark(lane, WAITS)
            await anyio.sleep_forever()
