"""anyio: a shield, and a limit inside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from trio_stages.compare.core import FAREWELL
from trio_stages.compare.shells.anyio import RECEIVE_BYTES, handle

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job

LIMIT_S = 0.1


async def connection(
    core: Core, jobs: MemoryObjectSendStream[Job], stream: anyio.abc.SocketStream
) -> None:
    """Answer one client, and part with a word."""
    conversation = core.conversation(partial(handle, core, jobs))
    with core.task("connection"):
        async with stream:
            try:
                while not conversation.over:
                    data = await stream.receive(RECEIVE_BYTES)
                    await stream.send(conversation.feed(data))
            finally:
                with anyio.move_on_after(LIMIT_S, shield=True):
                    await stream.send(FAREWELL)
