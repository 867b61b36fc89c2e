"""asyncio: a task is cancelled, and only counts how often."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_stages.compare.core import Core


async def run(core: Core, error: type[Exception]) -> None:
    """Fail on both levels; survive the inner failure."""

    async def fail() -> None:
        with core.task("fails"):
            raise error

    with core.store:
        async with asyncio.TaskGroup() as workers:
            workers.create_task(fail())
            try:
                async with asyncio.TaskGroup() as connections:
                    connections.create_task(fail())
            except* error:
                core.recorder.mark("server", "the connections have failed")
            with core.task("waits"):
                await asyncio.Event().wait()


def main(core: Core, error: type[Exception]) -> None:
    """The process."""
    asyncio.run(run(core, error))
