"""asyncio: the TaskGroup cancels the others, and waits for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_stages.compare.core import Core


async def part(core: Core, number: int, answered: asyncio.Event, error: type[Exception]) -> None:
    """Check one event, wait for the store, apply it."""
    with core.task("part"):
        if number == 1:
            raise error
        await answered.wait()
        core.recorder.mark("task: part", "applied")


async def run(core: Core, parts: int, error: type[Exception], watch: Callable[[], None]) -> None:
    """All parts at once; then the answer."""
    answered = asyncio.Event()
    with core.store:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(parts):
                    group.create_task(part(core, number, answered, error))
        except* error:
            core.recorder.mark("server", "the batch has failed")
        answered.set()
        await asyncio.to_thread(watch)


def main(core: Core, parts: int, error: type[Exception], watch: Callable[[], None]) -> None:
    """The process."""
    asyncio.run(run(core, parts, error, watch))
