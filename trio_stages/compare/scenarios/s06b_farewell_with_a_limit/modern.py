"""asyncio: a timeout around what the cleanup awaits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from trio_stages.compare.core import FAREWELL
from trio_stages.compare.shells.modern import RECEIVE_BYTES, handle

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job

LIMIT_S = 0.1


async def connection(
    core: Core,
    jobs: asyncio.Queue[Job],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Answer one client, and part with a word."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        try:
            while not conversation.over:
                data = await reader.read(RECEIVE_BYTES)
                writer.write(conversation.feed(data))
                await writer.drain()
        finally:
            writer.write(FAREWELL)
            with suppress(TimeoutError):
                async with asyncio.timeout(LIMIT_S):
                    await writer.drain()
            writer.transport.abort()  # close would wait for a peer that does not read
