"""anyio: one task waits, another one reads; whichever is first cancels the other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from trio_stages.compare.scenarios.s27_client_gone_unnoticed import NOTICED, WAITS
from trio_stages.compare.shells.anyio import RECEIVE_BYTES
from trio_stages.compare.shells.anyio import main as serve

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


async def connection(
    core: Core, jobs: MemoryObjectSendStream[Job], stream: anyio.abc.SocketStream
) -> None:
    """Read a request, and wait for as long as the client does."""

    async def watch(scope: anyio.CancelScope) -> None:
        with core.task("watch") as lane:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await stream.receive(RECEIVE_BYTES)
            core.recorder.mark(lane, NOTICED)
            scope.cancel()

    with core.task("connection") as lane:
        async with stream:
            await stream.receive(RECEIVE_BYTES)
            async with anyio.create_task_group() as group:
                group.start_soon(watch, group.cancel_scope)
                core.recorder.mark(lane, WAITS)
                await anyio.sleep_forever()


def main(core: Core) -> None:
    """The process, with tasks for connections alone."""
    core.options = replace(core.options, workers=0)
    serve(core, connection=connection)
