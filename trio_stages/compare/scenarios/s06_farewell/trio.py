"""Trio: the scope is cancelled, and so is this farewell."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trio_stages.compare.core import FAREWELL
from trio_stages.compare.shells.trio import RECEIVE_BYTES, handle

if TYPE_CHECKING:
    import trio

    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


async def connection(
    core: Core, jobs: trio.MemorySendChannel[Job], stream: trio.SocketStream
) -> None:
    """Answer one client, and part with a word."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        async with stream:
            try:
                while not conversation.over:
                    data = await stream.receive_some(RECEIVE_BYTES)
                    await stream.send_all(conversation.feed(data))
            finally:
                await stream.send_all(FAREWELL)
