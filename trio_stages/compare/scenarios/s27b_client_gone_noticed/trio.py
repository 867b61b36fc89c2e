"""Trio: one task waits, another one reads; whichever is first cancels the other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from trio_stages.compare.scenarios.s27_client_gone_unnoticed import NOTICED, WAITS
from trio_stages.compare.shells.trio import RECEIVE_BYTES
from trio_stages.compare.shells.trio import main as serve

if TYPE_CHECKING:
    from trio_stages.compare.core import Core
    from trio_stages.jobs import Job


async def connection(
    core: Core, jobs: trio.MemorySendChannel[Job], stream: trio.SocketStream
) -> None:
    """Read a request, and wait for as long as the client does."""

    async def watch(scope: trio.CancelScope) -> None:
        with core.task("watch") as lane:
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some(RECEIVE_BYTES):
                    pass
            core.recorder.mark(lane, NOTICED)
            scope.cancel()

    with core.task("connection") as lane:
        async with stream:
            await stream.receive_some(RECEIVE_BYTES)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch, nursery.cancel_scope)
                core.recorder.mark(lane, WAITS)
                await trio.sleep_forever()


def main(core: Core) -> None:
    """The process, with tasks for connections alone."""
    core.options = replace(core.options, workers=0)
    serve(core, connection=connection)
