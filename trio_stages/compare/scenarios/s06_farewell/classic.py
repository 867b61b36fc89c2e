"""asyncio: the cancellation has been delivered; what this awaits, it gets, or waits for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trio_stages.compare.core import FAREWELL
from trio_stages.compare.shells.classic import RECEIVE_BYTES, handle

if TYPE_CHECKING:
    import asyncio

    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


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
            await writer.drain()
            writer.close()
