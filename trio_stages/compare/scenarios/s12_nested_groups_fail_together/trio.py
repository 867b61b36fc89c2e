"""Trio: each scope knows whether it has been cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, error: type[Exception]) -> None:
    """Fail on both levels; survive the inner failure."""

    async def fail() -> None:
        with core.task("fails"):
            raise error

    with core.store:
        async with trio.open_nursery() as workers:
            workers.start_soon(fail)
            try:
                async with trio.open_nursery() as connections:
                    connections.start_soon(fail)
            except* error:
                core.recorder.mark("server", "the connections have failed")
            with core.task("waits"):
                await trio.sleep_forever()


def main(core: Core, error: type[Exception]) -> None:
    """The process."""
    trio.run(run, core, error)
