"""asyncio streams: the handler waits, and does not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trio_stages.compare.scenarios.s27_client_gone_unnoticed import WAITS
from trio_stages.compare.shells.modern import RECEIVE_BYTES

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


async def connection(
    core: Core,
    jobs: asyncio.Queue[Job],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Read a request, and wait."""
    with core.task("connection") as lane:
        try:
            await reader.read(RECEIVE_BYTES)
            core.recorder.mark(lane, WAITS)
            await asyncio.Event().wait()
        finally:
            writer.close()
