"""anyio: each scope knows whether it has been cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, error: type[Exception]) -> None:
    """Fail on both levels; survive the inner failure."""

    async def fail() -> None:
        with core.task("fails"):
            raise error

    with core.store:
        async with anyio.create_task_group() as workers:
            workers.start_soon(fail)
            try:
                async with anyio.create_task_group() as connections:
                    connections.start_soon(fail)
            except* error:
                core.recorder.mark("server", "the connections have failed")
            with core.task("waits"):
                await anyio.sleep_forever()


def main(core: Core, error: type[Exception]) -> None:
    """The process."""
    anyio.run(run, core, error)
